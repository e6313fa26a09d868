"""`dutchbook scan` on small tapes: when an opportunity opens, changes and closes, and what is said of a poor tape."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from infra import cli
from infra.simulator.metadata import PolymarketFacts, clob_market_info, gamma_market, kalshi_market
from tests.unit.infra.simulator.tapes import CONDITION, SECOND, YES, Stamped, delta, snapshot, write_tape

T0 = 1_790_000_000 * SECOND
MS = SECOND // 1000
PAIR = f"""\
- group: pair
  relation: same
  members:
    - {{venue: kalshi, market: A-1}}
    - {{venue: polymarket, market: "{CONDITION}"}}
"""
THREE = """\
- group: three
  relation: [exclusive, exhaustive]
  members:
    - {venue: kalshi, market: T-A}
    - {venue: kalshi, market: T-B}
    - {venue: kalshi, market: T-C}
"""
ASSUMED = "2 markets have no entry in rest.json: "
GUESSED = "of 1 of Polymarket's, the token that comes first is taken for YES"


@pytest.fixture(autouse=True)
def _own_folder(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)


def run(*arguments: str) -> int:
    """The exit code, also where argparse ends the process itself."""
    try:
        return cli.main(["scan", *arguments])
    except SystemExit as end:
        assert isinstance(end.code, int)
        return end.code


def make_tape(groups: str = PAIR, **venues: Any) -> str:
    """A tape in the folder `tape`."""
    tape = write_tape(Path("tape"), **venues)
    (tape.folder / "groups.yaml").write_text(groups)
    return str(tape.folder)


def scan(*arguments: str) -> list[dict[str, Any]]:
    """The lines that a scan of the folder `tape` writes."""
    assert run("--tape", "tape", "--out", "out.jsonl", *arguments) == 0
    return read("out.jsonl")


def read(name: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in Path(name).read_text().splitlines()]


def whole(
    bids: Sequence[tuple[str, str]], asks: Sequence[tuple[str, str]], market: str = CONDITION, yes: str = YES
) -> str:
    """Polymarket's first frame of a market: the YES token's book, alone, without a hash."""
    levels = [[{"price": price, "size": size} for price, size in side] for side in (bids, asks)]
    body = {"event_type": "book", "market": market, "asset_id": yes, "timestamp": "1", "bids": levels[0]}
    return json.dumps([body | {"asks": levels[1]}])


def change(price: str, size: str, side: str, stamp: int) -> str:
    """A level of the YES token changes."""
    entry = {"asset_id": YES, "price": price, "size": size, "side": side}
    return json.dumps(
        {"event_type": "price_change", "market": CONDITION, "timestamp": str(stamp), "price_changes": [entry]}
    )


ASK_45 = snapshot(1, yes=[["0.4000", "10.00"]], no=[["0.5500", "7.00"]])
BID_50 = whole([("0.50", "3")], [("0.90", "9")])
BID_60 = whole([("0.60", "30")], [("0.90", "9")])
BEAT = json.dumps({"type": "ok", "id": 1, "sid": 1, "seq": 0, "msg": {}})


def claims(line: dict[str, Any]) -> list[tuple[str, str, int, int]]:
    return [(claim["venue"], claim["outcome"], claim["price"], claim["size"]) for claim in line["basket"]]


def events(lines: list[dict[str, Any]]) -> list[tuple[str, int]]:
    """What happened, and how many milliseconds after the beginning."""
    return [(line["event"], (line["t_ns"] - T0) // MS) for line in lines]


def test_opened_changed_closed_without_rest_bodies(capsys: pytest.CaptureFixture[str]) -> None:
    make_tape(
        kalshi=[
            (T0, ASK_45),
            (T0 + 2 * MS, delta(2, "0.5500", "2.00", side="no")),  # more than the other leg has: no news
            (T0 + 4 * MS, delta(3, "0.5500", "-9.00", side="no")),
        ],
        polymarket=[(T0 + MS, BID_50), (T0 + 3 * MS, change("0.50", "5", "BUY", 2))],
    )
    opened, changed, closed = scan("--gross")
    assert opened == {
        "group": "pair",
        "basket": [
            {"venue": "kalshi", "market": "A-1", "outcome": "yes", "price": 4500, "size": 700},
            {"venue": "polymarket", "market": CONDITION, "outcome": "no", "price": 5000, "size": 300},
        ],
        "event": "opened",
        "t_ns": T0 + MS,
        "quantity": 300,
        "gross": 150_000,
        "fees": 0,
        "net": 150_000,
    }
    assert (changed["event"], changed["t_ns"], changed["quantity"]) == ("changed", T0 + 3 * MS, 500)
    assert claims(changed) == [("kalshi", "yes", 4500, 900), ("polymarket", "no", 5000, 500)]
    assert (closed["event"], closed["t_ns"], closed["quantity"], closed["net"]) == ("closed", T0 + 4 * MS, 0, 0)
    assert claims(closed) == claims(changed), "the side that is gone shows its last price"
    said = capsys.readouterr().err
    assert ASSUMED + GUESSED in said
    assert "5 frames, 1 opportunities, 0 open at the end" in said


def test_a_closing_shows_the_prices_that_end_it() -> None:
    make_tape(
        kalshi=[(T0, ASK_45)],
        polymarket=[(T0 + MS, BID_50), (T0 + 2 * MS, change("0.50", "0", "BUY", 2)),
                    (T0 + 3 * MS, change("0.30", "8", "BUY", 3))],
    )  # fmt: skip
    lines = scan("--gross")
    assert events(lines) == [("opened", 1), ("closed", 2)]
    Path("tape/polymarket/frames.jsonl").write_text(
        "\n".join(
            json.dumps({"t": stamp, "frame": text})
            for stamp, text in ((T0 + MS, BID_50), (T0 + 2 * MS, whole([("0.20", "4")], [("0.90", "9")])))
        )
    )
    assert claims(scan("--gross")[-1]) == [("kalshi", "yes", 4500, 700), ("polymarket", "no", 8000, 400)]


def test_fees_and_smallest_orders_are_the_ordinary_ones_without_rest_bodies(capsys: pytest.CaptureFixture[str]) -> None:
    make_tape(kalshi=[(T0, ASK_45)], polymarket=[(T0 + MS, BID_60)])
    (opened,) = scan()
    assert opened["quantity"] == 700
    assert opened["gross"] == 700 * (10_000 - 4500 - 4000)
    assert opened["fees"] >= 700 * (0.07 * 45 * 55 + 0.07 * 40 * 60)
    assert 0 < opened["net"] < opened["gross"] - opened["fees"]
    said = capsys.readouterr().err
    assert said.count(ASSUMED) == 1
    assert "the venues' ordinary fees and smallest orders are taken, and no close times are known; " + GUESSED in said
    make_tape(kalshi=[(T0, ASK_45)], polymarket=[(T0 + MS, whole([("0.60", "4.99")], [("0.90", "9")]))])
    assert scan() == [], "less than Polymarket's smallest order"
    assert len(scan("--gross")) == 1


def beats(text: str, seconds: Sequence[float]) -> list[Stamped]:
    return [(T0 + round(second * SECOND), text) for second in seconds]


def test_frames_of_any_kind_prove_a_venue_and_silence_does_not() -> None:
    everyone = [second / 2 for second in range(1, 30)]
    make_tape(kalshi=[(T0, ASK_45), *beats(BEAT, everyone)], polymarket=[(T0, BID_60), *beats("PONG", everyone)])
    assert events(scan()) == [("opened", 0)]
    make_tape(kalshi=[(T0, ASK_45), *beats(BEAT, [8.25])], polymarket=[(T0, BID_60), *beats("PONG", everyone)])
    assert events(scan()) == [("opened", 0), ("closed", 6000), ("opened", 8250), ("closed", 14000)]
    assert events(scan("--gross")) == [("opened", 0)]


def test_proofs_that_are_told_one_after_the_other_are_no_skew() -> None:
    make_tape(
        kalshi=[(T0, ASK_45), *beats(BEAT, [2, 5.5])],
        polymarket=[(T0, BID_60), *beats("PONG", [0.1, 2.05, 3.9])],
    )
    assert events(scan()) == [("opened", 0)]


def test_a_silence_of_both_venues_is_noticed_by_whoever_speaks_first() -> None:
    make_tape(kalshi=[(T0, ASK_45), *beats(BEAT, [60])], polymarket=[(T0, BID_60), *beats("PONG", [60.5])])
    assert events(scan()) == [("opened", 0), ("closed", 60_000), ("opened", 60_500)]


def test_the_settings_are_the_detectors(monkeypatch: pytest.MonkeyPatch) -> None:
    everyone = [float(second) for second in range(1, 12)]
    make_tape(kalshi=[(T0, ASK_45)], polymarket=[(T0, BID_60), *beats("PONG", everyone)])
    assert events(scan()) == [("opened", 0), ("closed", 6000)]
    monkeypatch.setenv("DUTCHBOOK_FRESHNESS_MS", "9000")
    monkeypatch.setenv("DUTCHBOOK_SKEW_MS", "0")
    assert events(scan()) == [("opened", 0), ("closed", 10_000)]
    monkeypatch.setenv("DUTCHBOOK_MINIMUM_NET_MICRODOLLARS", "5000000")
    assert scan() == []
    assert events(scan("--gross")) == [("opened", 0)]
    monkeypatch.setenv("DUTCHBOOK_FRESHNESS_MS", "soon")
    assert run("--tape", "tape") == 2


def test_what_was_rejected(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DUTCHBOOK_MINIMUM_NET_MICRODOLLARS", "5000000")
    make_tape(kalshi=[(T0, ASK_45)], polymarket=[(T0, BID_60)])
    assert scan("--analysis", "analysis.jsonl") == []
    (rejected,) = read("analysis.jsonl")
    assert (rejected["group"], rejected["reason"], rejected["time_ns"]) == ("pair", "minimum net", T0)
    assert rejected["basket"] == f"kalshi/A-1/yes|polymarket/{CONDITION}/no"


def three(*prices: str) -> list[Stamped]:
    """Three Kalshi markets whose YES is asked at these prices, a millisecond apart."""
    return [
        (T0 + at * MS, snapshot(at + 1, f"T-{name}", no=[[f"{1 - float(price):.4f}", "5.00"]]))
        for at, (name, price) in enumerate(zip("ABC", prices, strict=True))
    ]


def test_a_basket_of_many() -> None:
    make_tape(THREE, kalshi=three("0.3000", "0.2500", "0.4000"))
    (opened,) = scan("--gross")
    assert claims(opened) == [("kalshi", "yes", price, 500) for price in (3000, 2500, 4000)]
    assert (opened["t_ns"], opened["gross"]) == (T0 + 2 * MS, 500 * 500)
    make_tape(THREE, kalshi=three("0.3000", "0.3000", "0.4000"))
    assert scan("--gross") == []


@pytest.mark.parametrize(("augmented", "expected"), [(False, ["opened"]), (True, [])])
def test_an_augmented_event_is_never_exhaustive(augmented: bool, expected: list[str]) -> None:
    markets = {"0x" + digit * 64: (digit * 5, digit * 6) for digit in "123"}
    rest: dict[str, Any] = {}
    for condition, tokens in markets.items():
        facts = PolymarketFacts(condition, *tokens, end="2026-12-01T00:00:00Z")
        event = {"id": "7", "slug": "race", "negRisk": True, "negRiskAugmented": augmented}
        rest[f"GET /clob-markets/{condition}"] = clob_market_info(facts) | {"nr": True}
        rest[f"GET /markets?condition_ids={condition}"] = [gamma_market(facts) | {"negRisk": True, "events": [event]}]
    members = "".join(f'    - {{venue: polymarket, market: "{condition}"}}\n' for condition in markets)
    make_tape(
        f"- group: race\n  relation: [exclusive, exhaustive]\n  members:\n{members}",
        polymarket=[(T0, whole([], [("0.30", "9")], condition, yes)) for condition, (yes, _) in markets.items()],
        polymarket_rest=rest,
    )
    for mode in ((), ("--gross",)):
        assert [line["event"] for line in scan(*mode)] == expected


def rest_of_kalshi(close_time: str, **more: Any) -> dict[str, Any]:
    body = kalshi_market("A-1", close_time=close_time) | more
    return {"GET /trade-api/v2/markets/A-1": {"market": body}}


def test_kalshis_markets_close_by_the_clock() -> None:
    everyone = [second / 2 for second in range(1, 10)]
    venues: dict[str, Any] = {
        "kalshi": [(T0, ASK_45), *beats(BEAT, everyone)],
        "polymarket": [(T0, BID_60), *beats("PONG", everyone)],
    }
    make_tape(**venues, kalshi_rest=rest_of_kalshi("2026-09-21T14:13:23.3Z"))
    lines = scan()
    assert events(lines) == [("opened", 0), ("closed", 3300)]
    assert claims(lines[1]) == claims(lines[0])
    assert events(scan("--gross")) == [("opened", 0)]
    make_tape(**venues, kalshi_rest=rest_of_kalshi("2026-01-01T00:00:00Z"))
    assert events(scan()) == [("opened", 0)], "a book that comes later knows better"


def test_a_market_that_cannot_be_followed_is_named(capsys: pytest.CaptureFixture[str]) -> None:
    make_tape(kalshi=[(T0, ASK_45)], kalshi_rest=rest_of_kalshi("2027-01-01T00:00:00Z", price_ranges=[]))
    assert scan() == []
    said = capsys.readouterr().err
    assert "dutchbook scan: kalshi A-1 is not followed: no price_ranges\n" in said
    assert f"no book on the tape for 1 markets: polymarket {CONDITION}\n" in said


def test_what_was_found_before_a_damaged_line_stays(capsys: pytest.CaptureFixture[str]) -> None:
    make_tape(kalshi=[(T0, ASK_45)], polymarket=[(T0 + MS, BID_50)])
    with Path("tape/polymarket/frames.jsonl").open("a") as file:
        file.write("\n{\n")
    assert run("--tape", "tape", "--out", "out.jsonl", "--gross") == 2
    assert events(read("out.jsonl")) == [("opened", 1)]
    said = capsys.readouterr().err
    assert "dutchbook scan: tape/polymarket/frames.jsonl, line 2: not JSON: " in said
    assert "Traceback" not in said


def test_frames_that_are_no_messages_are_counted(capsys: pytest.CaptureFixture[str]) -> None:
    make_tape(kalshi=[(T0, ASK_45), (T0 + 2 * MS, "no JSON")], polymarket=[(T0 + MS, BID_50)])
    opened, closed = scan("--gross")
    assert (closed["event"], claims(closed)) == ("closed", claims(opened))
    assert "1 frames could not be understood" in capsys.readouterr().err


def test_some_groups_only() -> None:
    frames = [
        (T0, ASK_45),
        *[(T0, snapshot(at + 2, f"T-{name}", no=[["0.9000", "5.00"]])) for at, name in enumerate("ABC")],
    ]
    make_tape(PAIR + THREE, kalshi=frames, polymarket=[(T0 + MS, BID_50)])
    assert {line["group"] for line in scan("--gross")} == {"pair", "three"}
    assert {line["group"] for line in scan("--gross", "--group", "pair")} == {"pair"}
    assert {line["group"] for line in scan("--gross", "--market", "kalshi/T-B")} == {"three"}
    assert {line["group"] for line in scan("--gross", "--market", "T-B", "--market", CONDITION)} == {"pair", "three"}


def test_lines_go_to_the_screen_unless_a_file_is_named(capfdbinary: pytest.CaptureFixture[bytes]) -> None:
    make_tape(kalshi=[(T0, ASK_45)], polymarket=[(T0 + MS, BID_50)])
    expected = scan("--gross")
    capfdbinary.readouterr()
    for where in ((), ("--out", "-")):
        assert run("--tape", "tape", "--gross", *where) == 0
        shown = capfdbinary.readouterr().out
        assert [json.loads(line) for line in shown.splitlines()] == expected


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ((), "the following arguments are required: --tape"),
        (("--tape", "nonesuch"), "no tape named 'nonesuch' and no such folder; known names: btc-15m, generated"),
        (("--tape", "."), ": not a tape: "),
        (("--tape", "tape", "--group", "x"), "--group: tape/groups.yaml has no group 'x'"),
        (("--tape", "tape", "--market", "x"), "--market: tape/groups.yaml has no market 'x'"),
        (
            ("--tape", "tape", "--market", "A-1", "--group", "three"),
            "tape/groups.yaml: no group has these names and markets",
        ),
        (("--tape", "tape", "--out", "no/dir"), "--out: no/dir cannot be written: No such file or directory"),
        (("--tape", "tape", "--out", "."), "--out: . cannot be written: Is a directory"),
        (("--tape", "tape", "--analysis", "."), "--analysis: . cannot be written: Is a directory"),
        (("--tape", "tape", "--out", "x", "--analysis", "x"), "--out and --analysis are both x"),
        (("--tape", "tape", "--analysis", "-"), "--out and --analysis are both -"),
        (("--tape", "tape", "--out", "/dev/full"), "--out: /dev/full cannot be written: No space left on device"),
        (("--tape", "tape", "--depth", "0"), "--depth: '0' is not a whole number of 1 or more"),
    ],
)
def test_mistakes(arguments: tuple[str, ...], said: str, capsys: pytest.CaptureFixture[str]) -> None:
    make_tape(PAIR + THREE, kalshi=[(T0, ASK_45)], polymarket=[(T0 + MS, BID_60)])
    assert run(*arguments) == 2
    error = capsys.readouterr().err
    assert said in error
    assert "Traceback" not in error


@pytest.mark.parametrize(
    ("groups", "said"),
    [
        ("", "tape/groups.yaml: expected a list of groups, found nothing"),
        ("[]", "tape/groups.yaml: no group"),
        (PAIR.replace("same", "sane"), "tape/groups.yaml:2 (group pair): relation was 'sane'"),
        (None, "tape/groups.yaml: No such file or directory"),
    ],
)
def test_a_tape_with_poor_groups(groups: str | None, said: str, capsys: pytest.CaptureFixture[str]) -> None:
    make_tape(groups or "", kalshi=[(T0, ASK_45)])
    if groups is None:
        Path("tape/groups.yaml").unlink()
    assert run("--tape", "tape") == 2
    assert said in capsys.readouterr().err


def test_the_shipped_tape(capsys: pytest.CaptureFixture[str]) -> None:
    assert run("--tape", "btc-15m", "--out", "out.jsonl", "--gross") == 0
    found = read("out.jsonl")
    assert "6,955 frames, " in capsys.readouterr().err
    assert {line["event"] for line in found} == {"opened", "changed", "closed"}
    assert [line["t_ns"] for line in found] == sorted(line["t_ns"] for line in found)
    running = [line for line in found if line["event"] != "closed"]
    assert all(sum(price for *_, price, _ in claims(line)) < 10_000 for line in running)
    assert all(line["gross"] == line["net"] > 0 == line["fees"] for line in running)
    opened = sum(line["event"] == "opened" for line in found)
    assert opened == sum(line["event"] == "closed" for line in found), "every interval ends with empty books"
