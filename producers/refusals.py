"""What a venue says when it refuses a request, in every form seen.

Kalshi documents an error body as a flat object and sends it inside `error`; its 429 says `{"error": "too many
requests"}` with no Retry-After. Polymarket sends `{"error": text}`, sometimes with `code` and `retry_after_seconds`;
Gamma adds `type`. Sources: "Rate Limits and Tiers", OpenAPI 3.31.0; "Error Codes", "Matching Engine Restarts".
"""

from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any, Final

import httpx
import msgspec

TEXT_SHOWN: Final = 200

THROTTLED: Final = frozenset({425, 429})
"""Too early (the matching engine restarts) and too many requests: the venue is there and asks for patience."""


class RestError(RuntimeError):
    """A venue's REST interface did not give the answer; the message names request and cause.

    `status` is 0 when no answer came. `code` and `detail` are the venue's own words, empty where it had none; `body` is
    its whole answer. `retry_after_s` is how long it asked to be left alone, 0 when it did not say.
    """

    def __init__(
        self,
        text: str,
        status: int = 0,
        *,
        code: str = "",
        detail: str = "",
        retry_after_s: float = 0.0,
        body: bytes = b"",
    ) -> None:
        super().__init__(text)
        self.status = status
        self.code = code
        self.detail = detail
        self.retry_after_s = retry_after_s
        self.body = body

    @property
    def passing(self) -> bool:
        """True when the same request may succeed later: no answer at all, 425, 429 or a server error."""
        return self.status == 0 or self.status in THROTTLED or self.status >= 500

    @property
    def unknown(self) -> bool:
        """True when the venue says that it does not know the thing asked for."""
        return self.status in (400, 404)


@dataclass(frozen=True, slots=True)
class Refusal:
    """An error body, understood as far as it goes. `form` says which of the known forms it had."""

    form: str
    code: str = ""
    detail: str = ""
    retry_after_s: float = 0.0


def parse_refusal(body: bytes) -> Refusal:
    """The venue's own words in an error body; never raises."""
    try:
        value = msgspec.json.decode(body)
    except (msgspec.MsgspecError, RecursionError, UnicodeDecodeError):
        return Refusal("no JSON", detail=_shown(body.decode(errors="replace")))
    if not isinstance(value, dict):
        return Refusal("other", detail=_shown(value))
    inner, after_s = value.get("error"), _seconds(value.get("retry_after_seconds"))
    if isinstance(inner, dict):
        return Refusal("nested", _shown(inner.get("code")), _sentence(inner), after_s)
    if isinstance(inner, str):
        return Refusal("text", _shown(value.get("code")), _shown(inner), after_s)
    if "code" in value or "message" in value:
        return Refusal("flat", _shown(value.get("code")), _sentence(value), after_s)
    return Refusal("other", detail=_shown(value), retry_after_s=after_s)


def refused(where: str, answer: httpx.Response, now_ns: int) -> tuple[RestError, str]:
    """The error that an answer means, and the form of its body."""
    refusal = parse_refusal(answer.content)
    said = ": ".join(filter(None, (refusal.code, refusal.detail)))
    error = RestError(
        f"{where}: HTTP {answer.status_code}: {said}",
        answer.status_code,
        code=refusal.code,
        detail=refusal.detail,
        retry_after_s=max(refusal.retry_after_s, _retry_after_s(answer.headers, now_ns)),
        body=answer.content,
    )
    return error, refusal.form


def _retry_after_s(headers: httpx.Headers, now_ns: int) -> float:
    """The Retry-After header: seconds, or a date, which is counted from the answer's own date where it has one."""
    text = headers.get("retry-after", "").strip()
    if text.isascii() and text.replace(".", "", 1).isdigit():
        return _seconds(text)
    until, said = _date(text), _date(headers.get("date", ""))
    if until is None:
        return 0.0
    return max(0.0, (until - (said or datetime.fromtimestamp(now_ns / 1e9, UTC))).total_seconds())


def _date(text: str) -> datetime | None:
    try:
        moment = parsedate_to_datetime(text)
    except ValueError:
        return None
    return moment if moment.tzinfo is not None else moment.replace(tzinfo=UTC)


def _seconds(value: Any) -> float:
    try:
        seconds = float(value)
    except (TypeError, ValueError, OverflowError):
        return 0.0
    return seconds if 0.0 <= seconds < 1e9 else 0.0


def _sentence(error: dict[str, Any]) -> str:
    return ": ".join(filter(None, (_shown(error.get("message")), _shown(error.get("details")))))


def _shown(value: Any) -> str:
    return "" if value is None else str(value)[:TEXT_SHOWN]
