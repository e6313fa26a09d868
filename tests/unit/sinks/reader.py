"""A reader of InfluxDB's line protocol, written from its rules and apart from the encoder it checks."""

from dataclasses import dataclass

FieldValue = int | float | bool | str


@dataclass(frozen=True)
class Point:
    measurement: str
    tags: dict[str, str]
    fields: dict[str, FieldValue]
    time: int


def read_line(line: str) -> Point:
    """Read one line; raises ValueError when it breaks a rule."""
    key, rest = _split_once(line, " ", quotes=False)
    fields, time = _split_once(rest, " ", quotes=True)
    measurement, *tags = _split(key, ",", quotes=False)
    return Point(
        _unescape(measurement),
        dict(_tag(pair) for pair in tags),
        dict(_field(pair) for pair in _split(fields, ",", quotes=True)),
        int(time),
    )


def _split(text: str, separator: str, *, quotes: bool) -> list[str]:
    parts, current, quoted, at = [], "", False, 0
    while at < len(text):
        char = text[at]
        if char == "\\" and at + 1 < len(text):
            current += text[at : at + 2]
            at += 2
            continue
        if char == '"' and quotes:
            quoted = not quoted
        if char == separator and not quoted:
            parts.append(current)
            current = ""
        else:
            current += char
        at += 1
    if quoted:
        raise ValueError(f"unbalanced quotes in {text!r}")
    return [*parts, current]


def _split_once(text: str, separator: str, *, quotes: bool) -> tuple[str, str]:
    first, *rest = _split(text, separator, quotes=quotes)
    if not rest:
        raise ValueError(f"no {separator!r} in {text!r}")
    return first, separator.join(rest)


def _unescape(text: str) -> str:
    for special in (",", "=", " "):
        text = text.replace(f"\\{special}", special)
    return text


def _tag(pair: str) -> tuple[str, str]:
    key, value = _split_once(pair, "=", quotes=False)
    if not key or not value:
        raise ValueError(f"empty tag in {pair!r}")
    return _unescape(key), _unescape(value)


def _field(pair: str) -> tuple[str, FieldValue]:
    key, value = _split_once(pair, "=", quotes=True)
    if value.startswith('"'):
        inner, plain, at = value[1:-1], "", 0
        while at < len(inner):
            at += inner[at] == "\\" and inner[at + 1 : at + 2] in ('"', "\\")
            plain += inner[at]
            at += 1
        return key, plain
    if value in ("true", "false"):
        return key, value == "true"
    return (key, int(value[:-1])) if value.endswith("i") else (key, float(value))
