"""Strategies for every record type, made from the types themselves."""

import typing
from typing import Any, get_args, get_origin

import msgspec
from hypothesis import strategies as st

LONG = st.integers(-(2**63), 2**63 - 1)
TEXT = st.text(max_size=12)


def values(kind: Any) -> st.SearchStrategy[Any]:
    """Any value of a field's type."""
    if get_origin(kind) is typing.Literal:
        return st.sampled_from(get_args(kind))
    if get_origin(kind) is tuple:
        return st.lists(values(get_args(kind)[0]), max_size=3).map(tuple)
    if get_origin(kind) is dict:
        key, value = get_args(kind)
        return st.dictionaries(values(key), values(value), max_size=3)
    simple: dict[Any, st.SearchStrategy[Any]] = {
        int: LONG,
        str: TEXT,
        bool: st.booleans(),
        bytes: st.binary(max_size=32),
        float: st.floats(allow_nan=False),
    }
    return simple[kind] if kind in simple else records(kind)


def records(kind: type[msgspec.Struct]) -> st.SearchStrategy[Any]:
    """Any record of a type."""
    hints = typing.get_type_hints(kind)
    return st.builds(kind, **{name: values(hints[name]) for name in kind.__struct_fields__})
