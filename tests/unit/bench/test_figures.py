"""The statistics and the table."""

import pytest

from bench.figures import Figure, gather, plain, rate, table

SECOND = 1_000_000_000


def test_rate_leaves_out_what_the_first_stamp_brought() -> None:
    assert rate([0, SECOND, 2 * SECOND], [5, 3, 7]) == 5.0


def test_rate_does_not_depend_on_the_order_of_the_stamps() -> None:
    assert rate([2 * SECOND, 0, SECOND], [7, 5, 3]) == 5.0


@pytest.mark.parametrize(("stamps", "weights"), [([], []), ([7], [1]), ([7, 7], [1, 1])])
def test_a_rate_without_time_is_refused(stamps: list[int], weights: list[int]) -> None:
    with pytest.raises(ValueError, match="two different moments"):
        rate(stamps, weights)


def test_a_rate_needs_a_weight_for_every_stamp() -> None:
    with pytest.raises(ValueError, match="2 stamps and 1 weights"):
        rate([1, 2], [1])


def test_gather_keeps_the_order_of_names_and_of_repeats() -> None:
    figures = gather("s", "ms", [{"b": 1.0, "a": 2.0}, {"a": 4.0, "c": 3.0, "b": 5.0}])
    assert figures == [
        Figure("s", "b", "ms", (1.0, 5.0)),
        Figure("s", "a", "ms", (2.0, 4.0)),
        Figure("s", "c", "ms", (3.0,)),
    ]


def test_a_figure_without_values_is_refused() -> None:
    with pytest.raises(ValueError, match="s: n: a figure has at least one value"):
        Figure("s", "n", "ms", ())


def test_record_has_median_and_extremes() -> None:
    record = Figure("s", "n", "ms", (9.0, 1.0, 2.0)).record()
    assert (record["median"], record["lowest"], record["highest"]) == (2.0, 1.0, 9.0)
    assert record["values"] == [9.0, 1.0, 2.0]


@pytest.mark.parametrize(
    ("number", "text"),
    [(0.123, "0.12"), (9.99, "9.99"), (12.34, "12.3"), (123.4, "123"), (12345.6, "12,346")],
)
def test_numbers_as_people_read_them(number: float, text: str) -> None:
    assert plain(number) == text


def test_table_aligns_columns_and_names_every_section_once() -> None:
    figures = [
        Figure("one", "a", "ms", (1.0,)),
        Figure("one", "longer", "books/s", (2000.0,)),
        Figure("two", "b", "ms", (3.0,)),
    ]
    lines = table(figures).splitlines()
    assert [line for line in lines if line in ("one", "two")] == ["one", "two"]
    head, *rows = [line for line in lines if line.startswith("  ")]
    assert head.split() == ["unit", "median", "lowest", "highest"]
    assert {len(line) for line in (head, *rows)} == {len(head)}
    assert rows[1].split() == ["longer", "books/s", "2,000", "2,000", "2,000"]
