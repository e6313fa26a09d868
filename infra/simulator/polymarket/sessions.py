"""Who listens to Polymarket's market channel, and to which tokens."""

from collections.abc import Iterable
from dataclasses import dataclass, field

from infra.simulator.outbox import Outbox


@dataclass(eq=False, slots=True)
class Session:
    """One client of the market channel; ``outbox`` is drained by whoever owns the socket."""

    outbox: Outbox
    tokens: dict[str, None] = field(default_factory=dict)
    custom: bool = False

    def send(self, text: str, markets: tuple[str, ...] = (), *, control: bool = False) -> None:
        """Queue a frame about these markets; the venue closes the connection of a client that is too slow."""
        if not self.outbox.offer(text, markets, control=control):
            self.outbox.close()


class Audience:
    """Every session, and the sessions of every token. A token need not be of any market."""

    def __init__(self) -> None:
        self.sessions: dict[Session, None] = {}
        self._watching: dict[str, dict[Session, None]] = {}

    def join(self, outbox: Outbox) -> Session:
        """A new client, subscribed to nothing yet."""
        session = Session(outbox)
        self.sessions[session] = None
        return session

    def leave(self, session: Session) -> None:
        """Forget a client."""
        self.unwatch(session, list(session.tokens))
        self.sessions.pop(session, None)
        session.outbox.close()

    def watch(self, session: Session, token: str) -> None:
        """Send a session what concerns a token from now on."""
        session.tokens[token] = None
        self._watching.setdefault(token, {})[session] = None

    def unwatch(self, session: Session, tokens: Iterable[str]) -> None:
        """Send a session nothing about these tokens any more."""
        for token in tokens:
            session.tokens.pop(token, None)
            watching = self._watching.get(token, {})
            watching.pop(session, None)
            if not watching:
                self._watching.pop(token, None)

    def of(self, tokens: Iterable[str], *, custom: bool = False) -> list[Session]:
        """The sessions that watch any of these tokens; with ``custom`` only those that asked for custom features."""
        found = {session: None for token in tokens for session in self._watching.get(token, ())}
        return [session for session in found if session.custom or not custom]

    def everyone(self, *, custom: bool = False) -> list[Session]:
        """The sessions that are subscribed to anything."""
        return [session for session in self.sessions if session.tokens and (session.custom or not custom)]
