"""`dutchbook record` from topics to a folder, and what is wrong with what it is asked for."""

import argparse
import errno
import json
import os
import signal
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import pytest
import zstandard
from msgspec.structs import replace

from infra.group_file import read_groups
from infra.rebuild import Entry, Rebuilder
from infra.rebuild_tape import Player, described
from infra.record import command as record_command
from infra.record.folder import Draft, tape_folder
from infra.record.frames import RecordError
from infra.record.recorder import Recorder, TapeLine
from infra.simulator.tape import Tape
from producers.transcript import Followed
from schemas.records import Group, Member, Relation
from schemas.topics import partition_of
from tests.unit.infra.record.recorded_topics import Topics
from tests.unit.infra.record.test_order import journal
from tests.unit.infra.record.test_recorder import MORE, WHOLE, B, P, connection, market_frames
from tests.unit.infra.record.test_rest import KALSHI, POLYMARKET
from tests.unit.infra.simulator.tapes import delta, snapshot
from tests.unit.producers.support import make_market
from tests.unit.sinks.make import book

SECOND = 1_000_000_000
EARLY, LATE = "1970-01-01T00:00:01Z", "1970-01-01T00:00:09Z"


def group(name: str, *members: Member, status: Any = "approved") -> Group:
    return Group(
        group=name,
        members=members,
        relations=(Relation(kind="same", members=tuple(range(len(members)))),),
        status=status,
        evidence="Compared.",
        rules_fingerprint="",
        updated_by="file",
        updated_ns=0,
    )


def member(market: Any) -> Member:
    return Member(venue=market.venue, market=market.market)


C = make_market("kalshi", "A-3")
K = replace(KALSHI, market="A-1", event="A", series="A")
PM = replace(POLYMARKET, market=P.market, tokens=P.tokens, ticks=P.ticks, negative_risk=False, mutually_exclusive=False)
PAIR = group("couple", member(K), member(PM))


@pytest.fixture
def topics(monkeypatch: pytest.MonkeyPatch) -> Topics:
    """A pair of markets, followed on both venues for two seconds from the second second on."""
    made = Topics(monkeypatch)
    made.group(PAIR)
    for market in (K, PM):
        made.describe(market)
    made.keep("kalshi", *connection("kalshi-p-0", 2, WHOLE, MORE, market=K, gap_s=0.5))
    made.keep("polymarket", *connection("polymarket-p-0", 2, *market_frames(), market=PM, gap_s=0.5))
    return made


def run(*arguments: str) -> int:
    verb = argparse.ArgumentParser(prog="dutchbook record")
    record_command.add_arguments(verb)
    return record_command.run(verb.parse_args(arguments), lambda region, _data_dir: region)


def left(folder: Path) -> list[str]:
    """Everything in a folder, hidden or not."""
    return sorted(path.name for path in folder.iterdir())


def test_a_stretch_becomes_a_tape(topics: Topics, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "tape"
    assert run("--out", str(out)) == 0
    assert left(tmp_path) == ["tape"]
    assert left(out) == ["NOTES.md", "groups.yaml", "kalshi", "polymarket"]
    tape = Tape.open(out)
    assert [frame.text for frame in tape.frames("kalshi")] == [WHOLE, MORE]
    assert [frame.text for frame in tape.frames("polymarket")] == market_frames()
    assert list(tape.stamps("kalshi")) == [2_500_000_000, 3_000_000_000]
    assert [replace(one, updated_ns=0) for one in read_groups(out / "groups.yaml", status="approved")] == [PAIR]
    assert {one.market for one in described(tape, "kalshi", SECOND).found.values()} == {K}
    assert {one.market for one in described(tape, "polymarket", SECOND).found.values()} == {PM}
    assert capsys.readouterr().out == f"{out}: 2 frames of kalshi, 3 frames of polymarket, 1 groups\n"


def test_the_books_of_the_tape_are_those_of_the_raw_records(topics: Topics, tmp_path: Path) -> None:
    run("--out", str(tmp_path / "tape"))
    tape = Tape.open(tmp_path / "tape")
    player = Player(tape, 32, {"kalshi": [Followed(K)], "polymarket": [Followed(PM)]})
    found = [(one.market, one.sides()) for _, _, books in player.play() for one in books]
    wanted = []
    for venue in ("kalshi", "polymarket"):
        rebuilder = Rebuilder(venue, 32)
        raw = [Entry.read(message) for (_, topic), all_of in topics.records.items() if topic == f"raw.{venue}"
               for message in all_of]  # fmt: skip
        wanted += [(one.market, one.sides()) for entry in raw for one in rebuilder.take(entry)]
    assert sorted(found) == sorted(wanted)
    assert len(found) == 5


def test_the_notes_say_where_it_comes_from(topics: Topics, tmp_path: Path) -> None:
    topics.group(group("asleep", member(B), member(C), status="proposed"))
    topics.describe(B)
    run("--out", str(tmp_path / "tape"), "--from", EARLY, "--to", LATE)
    notes = " ".join((tmp_path / "tape" / "NOTES.md").read_text().split())
    for text in (
        "from 1970-01-01T00:00:01.000Z to 1970-01-01T00:00:09.000Z",
        "| us | `raw.kalshi`, `market.kalshi`, `group`, `journal.detector` |",
        "| eu | `raw.polymarket`, `market.polymarket` |",
        "2 groups as they were published",
        "Proposed when it was recorded: asleep.",
        "Without a frame: asleep.",
        "2 frames of 4 raw records, received from 1970-01-01T00:00:02.000Z to 1970-01-01T00:00:03.000Z; 0 of them are",
        "Times are those at which the detector took in",
    ):
        assert text in notes
    run("--out", str(tmp_path / "other"), "--times", "producers")
    notes = " ".join((tmp_path / "other" / "NOTES.md").read_text().split())
    assert "Times are those at which the producers received the frames" in notes
    assert "journal.detector" not in notes


def test_a_group_without_a_frame_is_named(topics: Topics, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    topics.group(group("asleep", member(B), member(C)))
    assert run("--out", str(tmp_path / "tape")) == 0
    assert capsys.readouterr().err == "dutchbook record: group asleep has no frame in the stretch\n"


def test_only_the_groups_that_are_wanted(topics: Topics, tmp_path: Path) -> None:
    topics.group(group("other", member(B), member(C)))
    topics.describe(B)
    topics.keep("kalshi", *connection("kalshi-p-1", 2, snapshot(1, "A-2", yes=[["0.4000", "1.00"]]), market=B))
    run("--out", str(tmp_path / "all"))
    run("--out", str(tmp_path / "one"), "--groups", "couple")
    run("--out", str(tmp_path / "both"), "--groups", "couple", "other")
    tapes = {name: Tape.open(tmp_path / name) for name in ("all", "one", "both")}
    texts = {name: [frame.text for frame in tape.frames("kalshi")] for name, tape in tapes.items()}
    assert sum("A-2" in text for text in texts["all"]) == 1
    assert texts["one"] == [WHOLE, MORE]
    assert texts["both"] == texts["all"]
    assert [one.group for one in read_groups(tmp_path / "one" / "groups.yaml")] == ["couple"]
    assert "A-2" not in (tmp_path / "one" / "kalshi" / "rest.json").read_text()
    assert not Tape.open(tmp_path / "one").rest("kalshi").keys() - Tape.open(tmp_path / "all").rest("kalshi").keys()


def test_a_blocked_group_is_left_out_unless_it_is_wanted(topics: Topics, tmp_path: Path) -> None:
    topics.group(group("blocked", member(B), member(C), status="blocked"))
    run("--out", str(tmp_path / "all"))
    run("--out", str(tmp_path / "one"), "--groups", "blocked")
    assert [one.group for one in read_groups(tmp_path / "all" / "groups.yaml")] == ["couple"]
    assert [one.group for one in read_groups(tmp_path / "one" / "groups.yaml")] == ["blocked"]


def test_groups_and_markets_are_those_of_the_stretch(topics: Topics, tmp_path: Path) -> None:
    """A group as it was at the end, a market as it was at the beginning; what came later does not count."""
    topics.group(replace(PAIR, evidence="Better."), at_ms=2_500)
    topics.group(replace(PAIR, evidence="Too late."), at_ms=9_500)
    topics.group(group("gone", member(B)), at_ms=100)
    topics.group(None, at_ms=200, name="gone")
    topics.describe(replace(K, title="Now"), at_ms=1_500)
    topics.describe(replace(K, title="Soon"), at_ms=2_600)
    topics.describe(replace(B, title="New"), at_ms=2_700)
    topics.describe(replace(B, title="Newer"), at_ms=2_800)
    topics.describe(replace(C, title="Too late"), at_ms=9_500)
    run("--out", str(tmp_path / "tape"), "--to", LATE)
    (only,) = read_groups(tmp_path / "tape" / "groups.yaml")
    assert (only.group, only.evidence) == ("couple", "Better.")
    found = described(Tape.open(tmp_path / "tape"), "kalshi", SECOND).found
    assert {name: one.market.title for name, one in found.items()} == {"A-1": "Now", "A-2": "New"}


def test_a_stretch_from_the_middle_begins_with_the_book(topics: Topics, tmp_path: Path) -> None:
    run("--out", str(tmp_path / "tape"), "--from", "2800000000")
    tape = Tape.open(tmp_path / "tape")
    kinds = [json.loads(frame.text)["type"] for frame in tape.frames("kalshi")]
    assert kinds == ["orderbook_snapshot", "orderbook_delta"]
    assert list(tape.stamps("kalshi")) == [3_000_000_000, 3_000_000_000]


def test_the_venues_are_in_the_order_in_which_the_detector_saw_them(topics: Topics, tmp_path: Path) -> None:
    """Also where one partition was seen later than another."""
    home = partition_of("couple")
    topics.see("book.kalshi", 2_501, [book(connection="kalshi-p-0", frame=2)], home)
    topics.see("book.kalshi", 3_001, [book(connection="kalshi-p-0", frame=3)], home)
    topics.journal(journal(home, ("book.kalshi", 0, 2_700), ("book.kalshi", 1, 9_000)), 2_700)
    run("--out", str(tmp_path / "tape"))
    assert list(Tape.open(tmp_path / "tape").stamps("kalshi")) == [2_700_000_000, 9_000_000_000]
    run("--out", str(tmp_path / "other"), "--times", "producers")
    assert list(Tape.open(tmp_path / "other").stamps("kalshi")) == [2_500_000_000, 3_000_000_000]


def test_one_venue_alone(topics: Topics, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    del topics.records["eu", "raw.polymarket"]
    assert run("--out", str(tmp_path / "tape")) == 0
    assert left(tmp_path / "tape") == ["NOTES.md", "groups.yaml", "kalshi"]
    where = "raw.polymarket has no records from the beginning to now"
    assert capsys.readouterr().err == f"dutchbook record: {where}: the tape has nothing of it\n"


def test_prices_in_the_yes_leg_are_said_beside_the_frames(
    topics: Topics, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DUTCHBOOK_KALSHI_USE_YES_PRICE", "true")
    run("--out", str(tmp_path / "tape"))
    assert Tape.open(tmp_path / "tape").use_yes_price


# Mistakes


def test_no_records_at_all(topics: Topics, tmp_path: Path) -> None:
    with pytest.raises(RecordError) as error:
        run("--out", str(tmp_path / "tape"), "--from", LATE)
    assert str(error.value) == "raw.kalshi and raw.polymarket have no records from 1970-01-01T00:00:09.000Z to now"
    assert left(tmp_path) == []


def test_records_of_the_warm_up_are_none_of_the_stretch(topics: Topics, tmp_path: Path) -> None:
    with pytest.raises(RecordError, match="have no records"):
        run("--out", str(tmp_path / "tape"), "--from", "3600000000", "--to", LATE)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("--groups", "nonesuch"), "--groups: no group nonesuch from the beginning to now: there are couple"),
        (("--groups", "couple", "x", "y"), "--groups: no group x, y "),
        (("--from", LATE, "--to", EARLY), "--from and --to: from 1970-01-01T00:00:09.000Z to 1970-01-01T00:00:01.000Z"),
        (("--from", EARLY, "--to", EARLY), "there is no time"),
    ],
)
def test_mistakes(topics: Topics, tmp_path: Path, arguments: tuple[str, ...], said: str) -> None:
    with pytest.raises(RecordError) as error:
        run("--out", str(tmp_path / "tape"), *arguments)
    assert said in str(error.value)
    assert "\n" not in str(error.value)
    assert left(tmp_path) == []


def test_no_group_is_known_before_any_was_published(topics: Topics, tmp_path: Path) -> None:
    topics.records["us", "group"].clear()
    with pytest.raises(RecordError, match="no group couple from the beginning to now: there are none"):
        run("--out", str(tmp_path / "tape"), "--groups", "couple")


def test_a_folder_that_is_not_free(topics: Topics, tmp_path: Path) -> None:
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "x").touch()
    (tmp_path / "file").touch()
    for name, said in (
        ("full", "is there already and not empty"),
        ("file", "is there already and no folder"),
        ("no/such", "does not exist"),
    ):
        with pytest.raises(RecordError, match=said):
            run("--out", str(tmp_path / name))
    assert left(tmp_path) == ["file", "full"]
    assert left(tmp_path / "full") == ["x"]


def test_an_empty_folder_is_free(topics: Topics, tmp_path: Path) -> None:
    (tmp_path / "tape").mkdir()
    assert run("--out", str(tmp_path / "tape")) == 0
    assert Tape.open(tmp_path / "tape").frames_file("kalshi")


@pytest.mark.parametrize("name", ["frames", "NOTES.md"])
def test_a_full_disk(topics: Topics, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    def full(*_: Any) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(Draft, "put" if name == "frames" else "put_text", full)
    with pytest.raises(RecordError) as error:
        run("--out", str(tmp_path / "tape"))
    assert str(error.value) == f"--out: {tmp_path}/tape cannot be written: No space left on device"
    assert left(tmp_path) == []


def test_a_disk_that_is_full_at_the_end(tmp_path: Path) -> None:
    """What zstd kept back is written last; it has to be written for the tape to be there."""

    def fill() -> None:
        with tape_folder(tmp_path / "tape") as draft, Path("/dev/full").open("wb", buffering=0) as full:
            draft._writers["kalshi"] = zstandard.ZstdCompressor().stream_writer(full)
            draft.put("kalshi", TapeLine(1, "x"))
            draft.close()

    with pytest.raises(RecordError, match="cannot be written: No space left on device"):
        fill()
    assert left(tmp_path) == []


@pytest.mark.parametrize("error", [KeyboardInterrupt, RuntimeError])
def test_an_interruption_leaves_nothing(
    topics: Topics, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: type[BaseException]
) -> None:
    def interrupted(recorder: Recorder, entry: Entry) -> Iterator[TapeLine]:
        if recorder.lines > 1:
            raise error
        yield from take(recorder, entry)

    take = Recorder.take
    monkeypatch.setattr(Recorder, "take", interrupted)
    with pytest.raises(error):
        run("--out", str(tmp_path / "tape"))
    assert left(tmp_path) == []


def test_a_termination_is_an_interruption(topics: Topics, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def terminated(_: Recorder, __: Entry) -> Iterable[TapeLine]:
        os.kill(os.getpid(), signal.SIGTERM)
        return ()

    before = signal.getsignal(signal.SIGTERM)
    monkeypatch.setattr(Recorder, "take", terminated)
    with pytest.raises(KeyboardInterrupt):
        run("--out", str(tmp_path / "tape"))
    assert left(tmp_path) == []
    assert signal.getsignal(signal.SIGTERM) is before


def test_somebody_else_was_faster(tmp_path: Path) -> None:
    def lose() -> None:
        with tape_folder(tmp_path / "tape") as draft:
            draft.put("kalshi", TapeLine(1, "x"))
            (tmp_path / "tape").mkdir()
            (tmp_path / "tape" / "theirs").touch()

    with pytest.raises(RecordError, match="cannot be written"):
        lose()
    assert left(tmp_path) == ["tape"]
    assert left(tmp_path / "tape") == ["theirs"]


def test_a_day_of_frames_is_not_held(topics: Topics, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Lines are written as soon as nothing earlier can come."""
    frames = [delta(number, "0.3900", "1.00") for number in range(2, 400)]
    topics.records["us", "raw.kalshi"].clear()
    topics.keep("kalshi", *connection("kalshi-p-0", 2, WHOLE, *frames, market=K, gap_s=1))
    taken, waiting, most = 0, 0, 0
    take, put = Recorder.take, Draft.put

    def counted(recorder: Recorder, entry: Entry) -> Iterator[TapeLine]:
        nonlocal taken, most
        for line in take(recorder, entry):
            taken += 1
            most = max(most, taken - waiting)
            yield line

    def written(draft: Draft, venue: Any, line: TapeLine) -> None:
        nonlocal waiting
        waiting += 1
        put(draft, venue, line)

    monkeypatch.setattr(Recorder, "take", counted)
    monkeypatch.setattr(Draft, "put", written)
    run("--out", str(tmp_path / "tape"))
    assert taken == waiting > 399
    assert most < 20
