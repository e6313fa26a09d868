import pytest

from producers.timestamps import LATEST_NS, milliseconds_ns, rfc3339_ns


@pytest.mark.parametrize(
    ("text", "ns"),
    [
        (None, 0),
        ("", 0),
        ("0001-01-01T00:00:00Z", 0),
        ("1970-01-01T00:00:01", 1_000_000_000),
        ("2025-08-12T21:00:32.539836022Z", 1_755_032_432_539_836_000),
        ("2026-12-01T01:00:00+01:00", 1_796_083_200_000_000_000),
    ],
)
def test_texts(text: str | None, ns: int) -> None:
    assert rfc3339_ns(text) == ns


@pytest.mark.parametrize("text", ["soon", "1969-12-31T23:59:59Z", "2263-01-01T00:00:00Z", "9999-12-31T23:59:59-23:59"])
def test_texts_that_are_no_time_of_a_venue(text: str) -> None:
    with pytest.raises(ValueError, match=r"time was|Invalid isoformat"):
        rfc3339_ns(text)


def test_milliseconds() -> None:
    latest = LATEST_NS // 1_000_000
    assert milliseconds_ns(latest) == latest * 1_000_000
    for wrong in (-1, latest + 1, 10**400):
        with pytest.raises(ValueError, match="outside 1970 to 2262"):
            milliseconds_ns(wrong)
