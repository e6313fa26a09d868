"""A process's health that counts the rounds of its work."""

from runtime.health import Health


class Rounds(Health):
    """Keeps no file."""

    def __init__(self) -> None:
        super().__init__(None)
        self.count = 0
        self.touches = 0

    def turned(self) -> None:
        self.count += 1

    def touch(self) -> None:
        self.touches += 1
