"""The door of a venue's REST side: the one place where replies are refused, come late, or get lost."""

import asyncio

from infra.simulator.faults import FaultName, FaultPanel
from infra.simulator.recorded import Reply, Request
from infra.simulator.venue import Rest

STORM = (500, 502, 503, 504)
"""What a storm of server errors consists of, unless the fault names one status."""


class RestDoor:
    """Asks a venue's REST side, and suffers what the fault panel says."""

    def __init__(self, rest: Rest, faults: FaultPanel) -> None:
        self._rest = rest
        self._faults = faults

    async def answer(self, request: Request) -> Reply:
        """The reply to a request. A slow one was decided when the request came: it is old when it is read."""
        reply = self._reply(request)
        if reply.held is not None:
            outcome: asyncio.Future[Reply] = asyncio.get_running_loop().create_future()
            reply.held.then(lambda later: None if outcome.done() else outcome.set_result(later))
            reply = await outcome
        slow = self._faults.strikes(FaultName.REST_SLOW)
        if slow is not None:
            await asyncio.sleep(slow.delay_ms / 1000)
        return reply

    def _reply(self, request: Request) -> Reply:
        if self._faults.strikes(FaultName.REST_429):
            return self._rest.error_reply(429)
        if self._faults.strikes(FaultName.REST_425):
            return self._rest.error_reply(425)
        storm = self._faults.strikes(FaultName.REST_500)
        if storm is None:
            return self._rest.answer(request)
        # Whoever writes cannot know from a server error whether it was carried out: here it is as often as not.
        if request.method != "GET" and self._faults.random.random() < 1 / 2:
            self._rest.answer(request)
        return self._rest.error_reply(int(storm.detail) if storm.detail else self._faults.random.choice(STORM))
