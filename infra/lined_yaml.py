"""YAML whose mappings and lists remember their lines, so that a mistake can be named where it stands."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml

_MERGE = "tag:yaml.org,2002:merge"


class YamlError(ValueError):
    """A file that cannot be read as YAML; the message names the file, the line where there is one, and why."""


class Mapping(dict[Any, Any]):
    """A mapping: `line` is where it begins, `lines` where each key stands; both count from 1."""

    line = 0

    def __init__(self) -> None:
        super().__init__()
        self.lines: dict[Any, int] = {}


class Listing(list[Any]):
    """A list: `line` is where it begins, `lines` where each item does; both count from 1."""

    line = 0

    def __init__(self) -> None:
        super().__init__()
        self.lines: list[int] = []


class _Loader(yaml.SafeLoader):
    """A safe loader that keeps lines and refuses a key that stands twice."""


def _line(node: yaml.Node) -> int:
    return int(node.start_mark.line) + 1


def _mapping(loader: _Loader, node: yaml.MappingNode) -> Iterator[Mapping]:
    found = Mapping()
    found.line = _line(node)
    yield found
    _refuse_repeats(node)
    found.update(loader.construct_mapping(node, deep=True))
    found.lines.update({loader.construct_object(key, deep=True): _line(key) for key, _ in node.value})


def _listing(loader: _Loader, node: yaml.SequenceNode) -> Iterator[Listing]:
    found = Listing()
    found.line = _line(node)
    yield found
    found.extend(loader.construct_sequence(node, deep=True))
    found.lines.extend(_line(item) for item in node.value)


def _refuse_repeats(node: yaml.MappingNode) -> None:
    seen: dict[tuple[str, str], int] = {}
    for key, _ in node.value:
        if not isinstance(key, yaml.ScalarNode) or key.tag == _MERGE:
            continue
        name = (key.tag, key.value)
        if name in seen:
            what = f"key {key.value!r} stands already on line {seen[name]}"
            raise yaml.constructor.ConstructorError(None, None, what, key.start_mark)
        seen[name] = _line(key)


_Loader.add_constructor("tag:yaml.org,2002:map", _mapping)
_Loader.add_constructor("tag:yaml.org,2002:seq", _listing)


def read_yaml(path: Path) -> Any:
    """The only document of a file, its mappings and lists as `Mapping` and `Listing`; raises YamlError."""
    try:
        return yaml.load(path.read_text("utf-8"), Loader=_Loader)  # noqa: S506 - it is a SafeLoader
    except OSError as error:
        raise YamlError(f"{path}: {error.strerror}") from error
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        where = path if mark is None else f"{path}:{mark.line + 1}"
        raise YamlError(f"{where}: not YAML: {error.problem or error.context}") from error
    except (yaml.YAMLError, ValueError) as error:
        raise YamlError(f"{path}: not YAML: {' '.join(str(error).split())}") from error
    except RecursionError as error:
        raise YamlError(f"{path}: nested too deeply") from error
