"""Made-up Polymarket markets, one of each kind a client must understand: those of exchange mode, and new ones."""

from collections.abc import Callable
from hashlib import sha256

from infra.simulator.metadata import made_up_token
from infra.simulator.polymarket.catalogue import Event, Fee, Listing

CRYPTO = Fee()
POLITICS = Fee("politics_fees", "0.04", "0.25")
SPORTS = Fee("sports_fees", "0.05", "0.15")
NOMINEES = Event("showcase-nominee", "Who will be nominated?", neg_risk=True, augmented=True)


def condition_of(name: str) -> str:
    """A condition id that no venue issued."""
    return "0x" + sha256(name.encode()).hexdigest()


def up_or_down(name: str) -> Listing:
    """A crypto market of protocol V1 that holds marketable orders for a quarter of a second."""
    return Listing(
        condition_of(name), _tokens(name), "0.01", slug=name, question=f"Up or down: {name}?", outcomes=("Up", "Down"),
        event=Event(name, f"Up or down: {name}?"), itode=True,
    )  # fmt: skip


def version_2(name: str) -> Listing:
    """A market of protocol V2: a condition id of 31 bytes, tokens that differ in the last bit (recorded 2026-10-05)."""
    digest = sha256(name.encode()).digest()
    # Bits 40 to 103 of the position ids are zero: official clients know the protocol by that.
    base = int.from_bytes(digest, "big") >> 104 << 104 & ~(1 << 255)
    return Listing(
        "0x" + digest[:31].hex() + "00", (str(base), str(base + 1)), "0.01", version="v2", slug=name,
        question=f"Version 2: {name}?", outcomes=("Up", "Down"), event=Event(name, f"Version 2: {name}?"), itode=True,
    )  # fmt: skip


def nominee(name: str) -> Listing:
    """One outcome of a neg-risk event, on the finer grid."""
    question = f"Will {name} be nominated?"
    return Listing(
        condition_of(name), _tokens(name), "0.001", neg_risk=True, slug=name, question=question, event=NOMINEES,
        fee=POLITICS,
    )  # fmt: skip


def sports_line(name: str) -> Listing:
    """A sports line: orders wait three seconds, prices in half cents, a minimum above the usual one."""
    return Listing(
        condition_of(name), _tokens(name), "0.005", "15", slug=name, question=f"Will {name} cover?",
        event=Event(name, f"Will {name} cover?"), fee=SPORTS, seconds_delay=3,
    )  # fmt: skip


def world_event(name: str) -> Listing:
    """A market that charges no fee at all, on the ordinary grid: it changes to the finer one near 0 and 1 dollar."""
    return Listing(
        condition_of(name), _tokens(name), "0.01", slug=name, question=f"Will {name} happen?",
        event=Event(name, f"Will {name} happen?"), fee=None,
    )  # fmt: skip


KINDS: tuple[Callable[[str], Listing], ...] = (up_or_down, version_2, nominee, sports_line, world_event)


def showcase() -> list[Listing]:
    """What exchange mode lists beside the tape's markets; two nominees, so that their event has several markets."""
    return [
        up_or_down("showcase-up-or-down"),
        version_2("showcase-version-2"),
        nominee("showcase-nominee-a"),
        nominee("showcase-nominee-b"),
        sports_line("showcase-line"),
        world_event("showcase-world-event"),
    ]


def newcomer(number: int) -> Listing:
    """The market that appears as the ``number``-th: one kind after the other."""
    return KINDS[number % len(KINDS)](f"newcomer-{number}")


def _tokens(name: str) -> tuple[str, str]:
    return made_up_token(name + ":yes"), made_up_token(name + ":no")
