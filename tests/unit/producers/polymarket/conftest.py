from collections.abc import Callable, Iterator

import pytest

from tests.unit.producers.polymarket.frames import VenueMarket
from tests.unit.producers.polymarket.scripted import Scripted

Start = Callable[..., tuple[Scripted, VenueMarket]]


@pytest.fixture
def start() -> Iterator[Start]:
    """Makes lines whose books live already; whatever a test does with one, its transcript says the same again."""
    made: list[Scripted] = []

    def begin(*more: VenueMarket, live: bool = True, **options: object) -> tuple[Scripted, VenueMarket]:
        venues = more or (VenueMarket(),)
        line = Scripted(*venues, **options)  # type: ignore[arg-type]
        made.append(line)
        if live:
            line.take(*(venue.first() for venue in venues))
            assert line.agrees()
        return line, venues[0]

    yield begin
    for line in made:
        assert line.replayed() == line.said()
