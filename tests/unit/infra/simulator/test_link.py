"""A connection's way out: each fault alone, what it leaves alone, and that its seed repeats it."""

import json
from random import Random

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from infra.simulator.faults import MILLISECOND, Fault, FaultName, FaultPanel
from infra.simulator.link import OVERTAKEN_MS, Link, noise, nonsense, truncated

START = 1_000_000_000
FRAME = json.dumps({"type": "book", "seq": 3, "levels": [["0.40", "1.00"]], "none": None})


class Way:
    """A link in a time that the test sets, with faults put in force."""

    def __init__(self, *faults: Fault, latency_ms: int = 0, seed: int = 0) -> None:
        self.now_ns = START
        self.panel = FaultPanel(lambda: self.now_ns, seed)
        for fault in faults:
            self.panel.set(fault)
        self.link = Link(self.panel, latency_ms * MILLISECOND)

    def put(self, *texts: str, markets: tuple[str, ...] = (), control: bool = False) -> None:
        """Send frames now."""
        for text in texts:
            self.link.put(text, self.now_ns, markets, control=control)

    def after(self, ms: int) -> list[str]:
        """What arrives in the next milliseconds."""
        self.now_ns += ms * MILLISECOND
        return self.link.due(self.now_ns)


@given(st.lists(st.tuples(st.integers(0, 3), st.text(max_size=3))), st.integers(0, 5))
def test_without_a_fault_everything_arrives_once_in_order_after_the_latency(
    script: list[tuple[int, str]], latency_ms: int
) -> None:
    way = Way(latency_ms=latency_ms)
    arrived: list[str] = []
    for pause_ms, text in script:
        arrived += way.after(pause_ms)
        way.put(text)
        due = way.link.next_due_ns()
        assert due is not None
        assert due <= way.now_ns + latency_ms * MILLISECOND
    arrived += way.after(latency_ms)
    assert arrived == [text for _, text in script]
    assert (len(way.link), way.link.next_due_ns()) == (0, None)


def test_dropped_frames_are_those_of_the_faults_share_and_markets() -> None:
    way = Way(Fault(FaultName.DROP, markets=("m",)))
    way.put("lost", markets=("m", "n"))
    way.put("kept", markets=("n",))
    way.put("kept, too")
    assert way.after(0) == ["kept", "kept, too"]
    some = Way(Fault(FaultName.DROP, share=0.5), seed=3)
    some.put(*map(str, range(100)))
    assert 30 < len(some.after(0)) < 70


def test_a_duplicate_comes_at_once_or_late() -> None:
    way = Way(Fault(FaultName.DUPLICATE))
    way.put("a")
    assert way.after(0) == ["a", "a"]
    late = Way(Fault(FaultName.DUPLICATE, delay_ms=5))
    late.put("a")
    assert late.after(0) == ["a"]
    late.panel.clear_all()
    late.put("b")
    assert late.after(4) == ["b"]
    assert late.after(1) == ["a"]


def test_a_reordered_frame_comes_after_its_successor() -> None:
    way = Way(Fault(FaultName.REORDER))
    way.put("a")
    assert (way.after(0), len(way.link)) == ([], 1)
    way.put("b", "c", "d")
    assert way.after(0) == ["b", "a", "d", "c"]


def test_a_reordered_frame_without_a_successor_comes_late() -> None:
    for fault, wait_ms in ((Fault(FaultName.REORDER), OVERTAKEN_MS), (Fault(FaultName.REORDER, delay_ms=3), 3)):
        way = Way(fault)
        way.put("a")
        assert way.link.next_due_ns() == START + wait_ms * MILLISECOND
        assert way.after(wait_ms - 1) == []
        assert way.after(1) == ["a"]
        assert way.link.next_due_ns() is None


def test_delayed_frames_keep_their_order_also_when_the_fault_ends() -> None:
    way = Way(Fault(FaultName.DELAY, delay_ms=10))
    way.put("a")
    way.panel.clear_all()
    way.put("b")
    assert way.after(9) == []
    assert way.after(1) == ["a", "b"]


@pytest.mark.parametrize("name", [FaultName.FREEZE, FaultName.HALF_OPEN])
def test_a_silent_link_loses_what_is_sent_meanwhile(name: FaultName) -> None:
    way = Way(Fault(name))
    way.put("lost")
    way.put("PONG", control=True)
    assert way.after(1000) == (["PONG"] if name is FaultName.FREEZE else [])
    way.panel.clear_all()
    way.put("heard")
    assert way.after(0) == ["heard"]


def test_only_frames_about_frozen_markets_stop() -> None:
    way = Way(Fault(FaultName.FREEZE_MARKET, markets=("m",)))
    way.put("frozen", markets=("m",))
    way.put("other", markets=("n",))
    way.put("about none")
    assert way.after(0) == ["other", "about none"]
    way.panel.set(Fault(FaultName.FREEZE_MARKET))
    way.put("frozen", markets=("n",))
    way.put("about none")
    assert way.after(0) == ["about none"]


def test_a_control_frame_suffers_nothing_but_delay() -> None:
    names = ("drop", "duplicate", "reorder", "truncate", "malformed", "freeze", "freeze_market")
    way = Way(*(Fault(FaultName(name)) for name in names), Fault(FaultName.DELAY, delay_ms=2))
    way.put("PONG", control=True)
    assert (way.after(1), way.after(1)) == ([], ["PONG"])


def test_a_truncated_frame_is_a_beginning_and_no_json() -> None:
    way = Way(Fault(FaultName.TRUNCATE))
    way.put(FRAME + "\n")
    (text,) = way.after(0)
    assert FRAME.startswith(text)
    with pytest.raises(msgspec.DecodeError):
        msgspec.json.decode(text)


def test_a_malformed_frame_is_nonsense_or_noise_as_its_detail_says() -> None:
    for detail, readable in (("value", {True}), ("noise", {False}), ("", {True, False})):
        way = Way(Fault(FaultName.MALFORMED, detail=detail))
        way.put(*[FRAME] * 20)
        assert {_readable(text) for text in way.after(0)} == readable


scalars = st.none() | st.booleans() | st.integers(-9, 9) | st.text(max_size=3)
bodies = st.recursive(scalars, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=2), inner))


@given(bodies, st.integers())
def test_damage_is_always_visible_as_such(body: object, seed: int) -> None:
    text, random = json.dumps(body), Random(seed)
    assert not _readable(noise(len(text), random))
    if isinstance(body, dict | list):
        assert not _readable(truncated(text, random))
    damaged = nonsense(text, random)
    if _readable(damaged):
        was, became = list(_flat(body)), list(_flat(msgspec.json.decode(damaged)))
        wrong = [(old, new) for old, new in zip(was, became, strict=True) if old != new]
        assert [new for _, new in wrong] == [{"nonsense": []}]
    else:
        assert not isinstance(body, dict | list) or not list(_flat(body))


def test_every_frame_of_a_storm_is_repeated_by_the_seed() -> None:
    names = ("drop", "duplicate", "reorder", "truncate", "malformed", "delay")

    def run(seed: int) -> list[str]:
        way = Way(*(Fault(FaultName(name), share=0.3, delay_ms=4) for name in names), seed=seed)
        arrived = []
        for number in range(300):
            way.put(json.dumps({"seq": number, "price": "0.50"}))
            arrived += way.after(number % 3)
        return arrived + way.after(1000)

    assert run(1) == run(1) != run(2)


def _readable(text: str) -> bool:
    try:
        msgspec.json.decode(text)
    except msgspec.DecodeError:
        return False
    return True


def _flat(body: object) -> list[object]:
    """The scalars of a JSON value inside arrays and objects, and what was put in the place of one."""
    if body == {"nonsense": []} or not isinstance(body, dict | list):
        return [body]
    inner = body.values() if isinstance(body, dict) else body
    return [scalar for each in inner for scalar in _flat(each)]
