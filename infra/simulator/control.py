"""The control face of a simulator, for whoever runs it and for tests.

``POST /_simulator/start``           ``{"at_ns": wall ns}`` (optional) begins playback or traffic
``GET /_simulator/status``           where it stands, and the faults in force
``POST /_simulator/rate``            ``{"rate": actions a second}`` of an exchange's traffic; 0 lets it rest
``GET /_simulator/books``            the canonical books, in integers: price 1e-4 dollar, size 1e-2 contract
``GET /_simulator/faults``           the faults in force
``POST /_simulator/faults``          ``{"name", "share", "delay_ms", "markets", "for_ms", "detail"}`` sets one
``DELETE /_simulator/faults[/NAME]`` ends one, or all
"""

from collections.abc import Callable
from typing import Any

import msgspec

from infra.simulator.faults import FaultError, fault_body, fault_name, parse_fault
from infra.simulator.playback import Driver, Pulse
from infra.simulator.recorded import Reply, Request
from infra.simulator.site import Site
from infra.simulator.tape import Tape

PREFIX = "/_simulator/"


class Control:
    """Answers the control face's requests. ``failure`` tells what ended the playback, when something did."""

    def __init__(self, site: Site, tape: Tape, driver: Driver, failure: Callable[[], BaseException | None]) -> None:
        self._site = site
        self._tape = tape
        self._driver = driver
        self._failure = failure

    def answer(self, request: Request) -> Reply:
        """The reply to a request: 400 names what is wrong with it, 404 means there is no such thing."""
        try:
            return self._route(request)
        except (FaultError, msgspec.MsgspecError) as error:
            return Reply(400, {"error": str(error)})

    def _route(self, request: Request) -> Reply:
        match request.method, request.path.removeprefix(PREFIX).split("/"):
            case "GET", ["status"]:
                return self._status()
            case "POST", ["start"]:
                return self._start(request.body)
            case "POST", ["rate"]:
                return self._rate(request.body)
            case "GET", ["books"]:
                return Reply(200, self._site.venue.canonical())
            case "GET", ["faults"]:
                return Reply(200, {"faults": self._faults()})
            case "POST", ["faults"]:
                self._site.faults.set(parse_fault(request.body, self._site.faults.now()))
            case "DELETE", ["faults"]:
                self._site.faults.clear_all()
            case "DELETE", ["faults", name]:
                self._site.faults.clear(fault_name(name))
            case _:
                return Reply(404, {"error": f"not found: {request.method} {request.path}"})
        return Reply(200, {"faults": self._faults()})

    def _start(self, body: bytes) -> Reply:
        at_ns = msgspec.json.decode(body, type=dict[str, int]).get("at_ns") if body else None
        if not self._driver.start(at_ns):
            return Reply(409, {"error": "playback has already been started"})
        return self._status()

    def _rate(self, body: bytes) -> Reply:
        rate = msgspec.json.decode(body, type=dict[str, float]).get("rate")
        if rate is None or not 0 <= rate < float("inf"):
            return Reply(400, {"error": f"rate: expected a number from 0 on, not {rate}"})
        if not isinstance(self._driver, Pulse):
            return Reply(409, {"error": "a tape is playing: only an exchange has a rate"})
        self._driver.rate = rate
        return self._status()

    def _status(self) -> Reply:
        failure = self._failure()
        body = {
            "venue": self._site.venue.name,
            "tape": str(self._tape.folder),
            "mode": "exchange" if isinstance(self._driver, Pulse) else "tape",
            "state": self._driver.state,
            **self._driver.progress(),
            "frames_sent": self._site.frames_sent,
            "connections": len(self._site.connections),
            "faults": self._faults(),
        }
        return Reply(200, body | ({"error": str(failure)} if failure else {}))

    def _faults(self) -> list[dict[str, Any]]:
        panel = self._site.faults
        return [fault_body(fault, panel.now()) for fault in panel.faults()]
