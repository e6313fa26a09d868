"""Lists that come in pages, and answers that must have a form."""

from collections.abc import AsyncGenerator, Awaitable, Callable
from typing import Final, TypeVar

import msgspec

from producers.refusals import RestError
from runtime import logs, metrics
from schemas.records import Venue

T = TypeVar("T")

BROKEN: Final = (msgspec.MsgspecError, ValueError, RecursionError)
"""What decoding raises: malformed, of the wrong type, not UTF-8, a number off its unit, nested too deep."""

MOST_PAGES: Final = 1000
"""More than any list has: a venue that never ends one must not be followed for ever."""


def decode_as(data: bytes, kind: type[T], what: str) -> T:
    """An answer's body as a type; raises RestError when it has another form."""
    try:
        return msgspec.json.decode(data, type=kind)
    except BROKEN as error:
        raise RestError(f"{what}: the answer is not what was asked for: {error}", 200) from error


async def pages(
    venue: Venue,
    what: str,
    fetch: Callable[[str], Awaitable[bytes]],
    read: Callable[[bytes], tuple[list[T], str | None]],
) -> AsyncGenerator[list[T]]:
    """The pages of a list, one after another; raises what `fetch` and `read` raise.

    `fetch(cursor)` asks for a page, the first with an empty cursor; `read` gives its items and the next cursor, null or
    empty at the end. A short or empty page is no end. A cursor that came before is: the venue then goes in a circle.
    """
    cursor, seen = "", {""}
    for _ in range(MOST_PAGES):
        items, following = read(await fetch(cursor))
        yield items
        if not following:
            metrics.FORMS_SEEN.labels(venue, "last cursor", "none" if following is None else "empty").inc()
            return
        if following in seen:
            break
        cursor = following
        seen.add(cursor)
    metrics.FORMS_SEEN.labels(venue, "cursor", "endless").inc()
    logs.get(venue=venue).warning("a list does not end: its pages repeat or are too many", what=what, pages=len(seen))
