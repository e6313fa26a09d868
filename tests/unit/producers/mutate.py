"""Frames that are almost right: for fuzzing decoders."""

import json
from typing import Any

from hypothesis import strategies as st

SCALARS = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.integers(-(2**80), 2**80),
    st.floats(allow_nan=False, allow_infinity=False),
    st.text(max_size=8),
    st.sampled_from(["", "0.5", "1E+20", "1E+999999", "-1", "\u0661", "9" * 40, "NaN", "0001-01-01T00:00:00Z", "yes"]),
    st.sampled_from(["9999-12-31T23:59:59.999999Z", "9" * 25, "1e999", "BUY", "2026-01-01T00:00:00-23:59"]),
)
VALUES = st.recursive(
    SCALARS, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner, max_size=3)
)


def _places(value: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    keys: list[Any] = list(value) if isinstance(value, dict) else list(range(len(value)))
    found = []
    for key in keys:
        found.append((*path, key))
        if isinstance(value[key], dict | list):
            found += _places(value[key], (*path, key))
    return found


def _without(value: Any, path: tuple[Any, ...], replacement: Any, remove: bool) -> Any:
    key, *rest = path
    copy = value.copy()
    if rest:
        copy[key] = _without(value[key], tuple(rest), replacement, remove)
    elif remove:
        del copy[key]
    else:
        copy[key] = replacement
    return copy


@st.composite
def mutated(draw: st.DrawFn, frames: list[bytes]) -> bytes:
    """A frame with some of its values exchanged or left out, and perhaps some of its bytes."""
    value = json.loads(draw(st.sampled_from(frames)))
    for _ in range(draw(st.integers(0, 3))):
        places = _places(value)
        if places:
            value = _without(value, draw(st.sampled_from(places)), draw(VALUES), draw(st.booleans()))
    data = json.dumps(value, ensure_ascii=draw(st.booleans())).encode(errors="surrogatepass")
    if draw(st.integers(0, 3)):
        return data
    start, length = draw(st.integers(0, len(data))), draw(st.integers(0, 4))
    return data[:start] + draw(st.binary(max_size=4)) + data[start + length :]
