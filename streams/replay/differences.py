"""Two records held against each other, field by field."""

from typing import Any, NamedTuple

import msgspec


class FieldDifference(NamedTuple):
    """A field, as a path such as `legs[0].fee`, with both values; `absent` stands for a field that is not there."""

    field: str
    expected: Any
    found: Any

    def __str__(self) -> str:
        return f"{self.field}: expected {self.expected!r}, found {self.found!r}"


ABSENT = "absent"


def differing_fields(expected: Any, found: Any) -> list[FieldDifference]:
    """Every field in which two records differ, in the order of the fields."""
    return list(_walk("", msgspec.to_builtins(expected), msgspec.to_builtins(found)))


def _walk(path: str, expected: Any, found: Any) -> list[FieldDifference]:
    if isinstance(expected, dict) and isinstance(found, dict):
        names = dict.fromkeys([*expected, *found])
        inner = [_walk(_join(path, name), expected.get(name, ABSENT), found.get(name, ABSENT)) for name in names]
    elif isinstance(expected, list | tuple) and isinstance(found, list | tuple) and len(expected) == len(found):
        inner = [_walk(f"{path}[{at}]", *pair) for at, pair in enumerate(zip(expected, found, strict=True))]
    else:
        same = expected == found and type(expected) is type(found)
        return [] if same else [FieldDifference(path, expected, found)]
    return [difference for one in inner for difference in one]


def _join(path: str, name: object) -> str:
    return f"{path}.{name}" if path else str(name)
