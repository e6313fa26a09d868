"""A difference names the field, however deep it lies."""

from msgspec.structs import replace

from streams.replay.differences import differing_fields
from tests.unit.trading import opportunity


def test_fields_are_named_by_path() -> None:
    one = opportunity()
    legs = (one.legs[0], replace(one.legs[1], fee=one.legs[1].fee + 1, levels=(1, 2)))
    found = differing_fields(one, replace(one, net=one.net - 1, legs=legs))
    fee = one.legs[1].fee
    assert [str(difference) for difference in found if difference.field != "legs[1].levels"] == [
        f"legs[1].fee: expected {fee}, found {fee + 1}",
        f"net: expected {one.net}, found {one.net - 1}",
    ]
    assert any(difference.field.startswith("legs[1].levels") for difference in found)
    assert differing_fields(one, one) == []


def test_lists_of_other_lengths_differ_as_a_whole() -> None:
    one = opportunity()
    assert [d.field for d in differing_fields(one, replace(one, legs=one.legs[:1]))] == ["legs"]


def test_a_field_that_only_one_has_and_a_value_of_another_type() -> None:
    assert differing_fields({"a": 1}, {"b": 1}) == [("a", 1, "absent"), ("b", "absent", 1)]
    assert differing_fields({"a": 1}, {"a": True}) == [("a", 1, True)]
