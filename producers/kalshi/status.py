"""Whether Kalshi's exchange trades at all, shard by shard ("Get Exchange Status", "Exchange Sharding").

The top level speaks of shard 0. The same body comes with 500, 503 and 504 while the exchange is down.
"""

import msgspec

from producers.refusals import RestError
from runtime import metrics


class Shard(msgspec.Struct, frozen=True):
    """One matching engine; what it does not say is taken for running."""

    exchange_index: int = 0
    exchange_active: bool | None = None
    trading_active: bool | None = None

    def pause(self) -> str:
        """Why it does not trade, empty when it does."""
        if self.exchange_active is False:
            return "exchange paused"
        return "trading paused" if self.trading_active is False else ""


class Status(Shard, frozen=True):
    """The body of `GET /exchange/status`."""

    exchange_index_statuses: tuple[Shard, ...] | None = None
    exchange_estimated_resume_time: str | None = None

    def pauses(self) -> dict[int, str]:
        """Why each shard does not trade, empty where it does; shard -1 stands for those that are not listed."""
        listed = self.exchange_index_statuses or ()
        metrics.FORMS_SEEN.labels("kalshi", "exchange status", "by shard" if listed else "whole").inc()
        whole = self.pause()
        found = {shard.exchange_index: shard.pause() for shard in listed}
        # An exchange that is down as a whole says so at the top even where its list was left as it is.
        if self.exchange_active is False:
            found = dict.fromkeys(found, whole)
        return {0: whole, -1: whole} | found


_decoder = msgspec.json.Decoder(Status)


def decode_status(body: bytes) -> Status:
    """An exchange status; raises RestError when it is none."""
    try:
        return _decoder.decode(body)
    except msgspec.MsgspecError as error:
        raise RestError(f"exchange status: the answer is not what was asked for: {error}") from error


def status_of(error: RestError) -> Status:
    """The status that a failing exchange sends as its error's body; raises the error when it sent none."""
    if error.status < 500:
        raise error
    try:
        status = decode_status(error.body)
    except RestError:
        raise error from None
    if status.exchange_active is None and status.trading_active is None:
        raise error
    return status
