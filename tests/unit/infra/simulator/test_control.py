"""The control face: faults set and shown, books, status, rate; wrong requests named."""

import json
from pathlib import Path
from typing import Any

import pytest

from infra.simulator.control import PREFIX, Control
from infra.simulator.engine import NewOrder
from infra.simulator.faults import Fault, FaultName
from infra.simulator.playback import Driver, Pulse
from infra.simulator.recorded import Request
from infra.simulator.site import Settings
from infra.simulator.tape import Tape
from tests.unit.infra.simulator.toy import Toy, toy


class Panel:
    """A control face over a toy exchange, at a time that the test sets."""

    def __init__(self, driver: Driver | None = None) -> None:
        self.ns = 1_000_000_000
        self.failure: BaseException | None = None
        self.toy: Toy = toy(Settings(now=lambda: self.ns), "m")
        self.driver = driver or Pulse(lambda: None, 5.0, lambda: self.ns)
        self.control = Control(self.toy.site, Tape(Path("tape")), self.driver, lambda: self.failure)

    def ask(self, method: str, path: str, body: Any = None) -> tuple[int, Any]:
        """Status and decoded body of the reply."""
        text = body if isinstance(body, bytes) else json.dumps(body).encode() if body is not None else b""
        reply = self.control.answer(Request(method, PREFIX + path, [], text, {}))
        return reply.status, json.loads(reply.encoded())


def names(reply: tuple[int, Any]) -> list[str]:
    assert reply[0] == 200
    return [fault["name"] for fault in reply[1]["faults"]]


def test_faults_are_set_shown_and_cleared() -> None:
    panel = Panel()
    assert names(panel.ask("GET", "faults")) == []
    assert names(panel.ask("POST", "faults", {"name": "drop", "share": 0.5, "for_ms": 1500})) == ["drop"]
    assert names(panel.ask("POST", "faults", {"name": "freeze"})) == ["drop", "freeze"]
    panel.ns += 1_000_000
    shown = panel.ask("GET", "faults")[1]["faults"][0]
    assert shown == {
        "name": "drop",
        "share": 0.5,
        "delay_ms": 0,
        "markets": [],
        "left_ms": 1499,
        "detail": "",
    }
    assert names(panel.ask("DELETE", "faults/freeze")) == ["drop"]
    panel.ns += 2_000_000_000
    assert names(panel.ask("GET", "faults")) == []
    panel.ask("POST", "faults", {"name": "freeze"})
    assert names(panel.ask("DELETE", "faults")) == []


def test_a_fault_that_happens_once_strikes_the_venue() -> None:
    panel = Panel()
    assert names(panel.ask("POST", "faults", {"name": "tick_change", "markets": ["m"], "detail": "0.001"})) == []
    assert panel.toy.venue.struck == [Fault(FaultName.TICK_CHANGE, markets=("m",), detail="0.001")]


@pytest.mark.parametrize(
    ("method", "path", "body", "status", "named"),
    [
        ("POST", "faults", {"name": "droop"}, 400, "'droop' is no fault"),
        ("POST", "faults", b"{", 400, "name|JSON|truncated"),
        ("POST", "faults", {"name": "drop", "share": 2}, 400, "share"),
        ("DELETE", "faults/droop", None, 400, "'droop' is no fault"),
        ("POST", "rate", {"rate": -1}, 400, "rate"),
        ("POST", "rate", {}, 400, "rate"),
        ("POST", "rate", {"rate": "fast"}, 400, "float"),
        ("POST", "start", {"at_ns": "soon"}, 400, "int"),
        ("GET", "nowhere", None, 404, "GET /_simulator/nowhere"),
        ("PUT", "faults", None, 404, "PUT /_simulator/faults"),
    ],
)
def test_what_is_wrong_is_named(method: str, path: str, body: Any, status: int, named: str) -> None:
    panel = Panel()
    got, answer = panel.ask(method, path, body)
    assert got == status
    assert any(part in answer["error"] for part in named.split("|"))
    assert panel.toy.faults.faults() == []


def test_the_status_tells_the_mode_the_progress_the_faults_and_the_failure() -> None:
    panel = Panel()
    panel.ask("POST", "faults", {"name": "freeze"})
    status, body = panel.ask("GET", "status")
    assert status == 200
    assert body["faults"][0]["name"] == "freeze"
    assert (body["mode"], body["state"], body["actions"], body["rate"]) == ("exchange", "holding", 0, 5.0)
    assert (body["venue"], body["connections"], body["frames_sent"]) == ("toy", 0, 0)
    assert "error" not in body
    panel.failure = ValueError("broken tape")
    assert panel.ask("GET", "status")[1]["error"] == "broken tape"


def test_an_exchange_starts_once_and_its_rate_is_changed() -> None:
    panel = Panel()
    assert panel.ask("POST", "start")[0] == 200
    assert panel.ask("POST", "start")[0] == 409
    assert panel.ask("POST", "rate", {"rate": 0})[1]["rate"] == 0
    assert isinstance(panel.driver, Pulse)
    assert panel.driver.rate == 0


def test_books_are_shown_in_integers_best_first_with_their_state() -> None:
    panel = Panel()
    for number, (side, price, quantity) in enumerate((("buy", 4000, 150), ("buy", 4100, 25), ("sell", 4200, 7))):
        panel.toy.engine.place(NewOrder(str(number), "a", "m", side, price, quantity))  # type: ignore[arg-type]
    panel.toy.venue.states["m"] = "halted"
    books = panel.ask("GET", "books")[1]
    assert books == {"m": {"bids": [[4100, 25], [4000, 150]], "asks": [[4200, 7]], "state": "halted"}}
