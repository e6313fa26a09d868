"""Polymarket's REST side, CLOB and Gamma on one port: a tape's recorded bodies first, else made from the books."""

from dataclasses import replace

from infra.simulator.polymarket.clob import Clob
from infra.simulator.polymarket.gamma import Gamma
from infra.simulator.polymarket.replies import problem, restarting, server_error, too_many
from infra.simulator.polymarket.venue import PolymarketVenue
from infra.simulator.recorded import Reply, Request

HOSTS = ("/clob", "/gamma")


class PolymarketRest:
    """Answers the public calls of the CLOB and of Gamma, and order entry in exchange mode.

    Both own ``/markets``: a list with ``next_cursor`` and a market by condition id are the CLOB's, the others Gamma's.
    Paths may begin with ``/clob`` or ``/gamma``, which leaves no doubt.
    """

    def __init__(self, venue: PolymarketVenue) -> None:
        self._venue = venue
        self._clob = Clob(venue)
        self._gamma = Gamma(venue)

    def answer(self, request: Request) -> Reply:
        """The reply to a request; what is not known is 404 with the venue's error body."""
        host = next((host for host in HOSTS if request.path.startswith(host + "/")), "")
        asked = replace(request, path=request.path.removeprefix(host))
        reply = self._recorded(asked) or self._venue.desk.answer(asked)
        if reply is None and host != "/gamma":
            reply = self._clob.answer(asked)
        if reply is None and host != "/clob":
            reply = self._gamma.answer(asked)
        return reply or self._late_recorded(asked) or problem(404, f"not found: {request.method} {request.path}")

    def error_reply(self, status: int) -> Reply:
        """425, 429 or 5xx in the venue's own words; after a 425 only post-only orders are taken for a while."""
        match status:
            case 425:
                self._venue.desk.restarted(self._venue.now())
                return restarting()
            case 429:
                return too_many(self._venue.stamp_ms() // 1_000)
            case _:
                return server_error(status)

    def _recorded(self, request: Request) -> Reply | None:
        """What the tape recorded: the last word when the tape is played, but exchange mode has its own truth."""
        return None if self._venue.exchange else self._venue.recorded.find(request)

    def _late_recorded(self, request: Request) -> Reply | None:
        return self._venue.recorded.find(request)
