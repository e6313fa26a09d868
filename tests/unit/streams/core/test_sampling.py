import pytest

from streams.core import sampling
from streams.core.sampling import INTERVAL_NS, PER_SECOND, Sampler

SECOND = 1_000_000_000
START = 50 * SECOND


def key(number: int, reason: str = "fees") -> tuple[str, str, str]:
    return "g", f"basket {number}", reason


def test_one_of_a_kind_in_an_interval_and_the_count_of_the_others() -> None:
    sampler = Sampler()
    assert sampler.take(key(1), START) == 0
    assert sampler.take(key(1), START) is None
    assert sampler.take(key(1), START + INTERVAL_NS - 1) is None
    assert sampler.take(key(1), START + INTERVAL_NS) == 2
    assert sampler.take(key(1), START + 2 * INTERVAL_NS) == 0


def test_kinds_and_baskets_do_not_count_for_one_another() -> None:
    sampler = Sampler()
    assert sampler.take(key(1), START) == 0
    assert sampler.take(key(1, "stale"), START) == 0
    assert sampler.take(key(2), START) == 0
    assert sampler.take(("h", "basket 1", "fees"), START) == 0


@pytest.mark.parametrize("start", [0, SECOND, START])
def test_so_many_a_second_and_no_more(start: int) -> None:
    sampler = Sampler()
    taken = [sampler.take(key(number), start + number) for number in range(PER_SECOND + 5)]
    assert taken == [0] * PER_SECOND + [None] * 5
    assert sampler.take(key(PER_SECOND), start + SECOND - 1) is None
    assert sampler.take(key(PER_SECOND), start + SECOND) == 2
    assert sampler.take(key(PER_SECOND + 1), start + SECOND) == 1


def test_memory_is_bounded() -> None:
    sampler = Sampler()
    for number in range(3 * sampling._REMEMBERED):
        sampler.take(key(number), START + number * SECOND)
        sampler.take(key(number), START + number * SECOND)
    assert len(sampler._next_ns) <= sampling._REMEMBERED
    assert len(sampler._suppressed) <= sampling._REMEMBERED


def test_a_full_memory_forgets_and_goes_on() -> None:
    sampler = Sampler()
    for number in range(sampling._REMEMBERED):
        assert sampler.take(key(number), START + number * SECOND) == 0
    last = START + (sampling._REMEMBERED - 1) * SECOND
    assert sampler.take(key(sampling._REMEMBERED - 1), last) is None
    assert sampler.take(key(-1), last + SECOND) == 0
    assert sampler.take(key(sampling._REMEMBERED - 1), last + SECOND) == 1
