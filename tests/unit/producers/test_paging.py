"""Lists in pages: every item once, whatever the pages look like, and an end whatever the venue does."""

import asyncio
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from producers.paging import MOST_PAGES, decode_as, pages
from producers.refusals import RestError


def read(data: bytes) -> tuple[list[int], str | None]:
    items, cursor = json.loads(data)
    return items, cursor


def collected(answers: dict[str, tuple[list[int], str | None]]) -> tuple[list[int], list[str]]:
    asked: list[str] = []

    async def fetch(cursor: str) -> bytes:
        asked.append(cursor)
        return json.dumps(answers[cursor]).encode()

    async def main() -> list[int]:
        return [item async for page in pages("kalshi", "test", fetch, read) for item in page]

    return asyncio.run(main()), asked


@given(st.lists(st.lists(st.integers(), max_size=3), min_size=1, max_size=8), st.sampled_from(["", None]))
def test_short_and_empty_pages_are_no_end(content: list[list[int]], last: str | None) -> None:
    answers = {
        str(number) if number else "": (page, str(number + 1) if number + 1 < len(content) else last)
        for number, page in enumerate(content)
    }
    items, asked = collected(answers)
    assert items == [item for page in content for item in page]
    assert asked == ["", *map(str, range(1, len(content)))]


@given(st.dictionaries(st.sampled_from(["", "a", "b", "c"]), st.sampled_from(["a", "b", "c", "", None])))
def test_a_circle_is_walked_once(following: dict[str, str | None]) -> None:
    answers = {cursor: ([1], following.get(cursor)) for cursor in ("", "a", "b", "c")}
    _, asked = collected(answers)
    assert len(asked) == len(set(asked))


def test_a_list_without_end_is_left() -> None:
    async def fetch(cursor: str) -> bytes:
        return json.dumps(([1], str(int(cursor or "0") + 1))).encode()

    async def main() -> int:
        return sum([len(page) async for page in pages("kalshi", "test", fetch, read)])

    assert asyncio.run(main()) == MOST_PAGES


def test_an_answer_of_another_form_is_a_clear_error() -> None:
    for data in (b"{", b"3", b"[" * 100_000, b'{"a": "\x80"}'):
        with pytest.raises(RestError, match="things: the answer is not what was asked for"):
            decode_as(data, dict[str, str], "things")
