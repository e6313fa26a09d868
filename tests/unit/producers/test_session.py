from producers.books import Clocks, PublishedBook, Receipt
from producers.transcript import (
    Closed,
    Described,
    Distrust,
    Doubt,
    Follow,
    Followed,
    Hold,
    Mark,
    Moved,
    Opened,
    Release,
    Trust,
    Unanswered,
    Unfollow,
    decode_mark,
    encode_mark,
)
from schemas.records import Book, Trade
from tests.unit.producers.support import make_market
from tests.unit.producers.toy import ToySession


class Recorder:
    """A host that numbers what it is asked for, gives it back, and keeps what is said."""

    def __init__(self) -> None:
        self.books: list[Book] = []
        self.marks: list[Mark] = []
        self.lost: list[str] = []
        self.frame = 0
        self.clock = 100
        clocks = Clocks()
        self.session = ToySession(
            self, lambda one: PublishedBook("kalshi", one.market.market, one.group, 32, clocks), overdue_ns=1_000
        )

    def receipt(self) -> Receipt:
        self.frame += 1
        return Receipt("c", self.frame - 1, self.clock, self.clock)

    def give(self, mark: Mark) -> None:
        self.session.mark(self.receipt(), mark, self.clock)

    def take(self, text: str) -> None:
        self.session.frame(self.receipt(), text.encode(), self.clock)

    def say(self, book: Book | None) -> None:
        if book is not None:
            self.books.append(book)

    def trade(self, trade: Trade) -> None:
        raise AssertionError(trade)

    def send(self, text: str) -> None:
        self.session.sent(self.receipt(), text)

    def ask(self, path: str, body: bytes | None = None) -> None:
        self.session.asked(self.receipt(), path, body)

    def ping(self) -> None:
        raise AssertionError("nothing pings here")

    def mark(self, mark: Mark) -> None:
        self.marks.append(mark)
        self.give(mark)

    def lose(self, reason: str, *, planned: bool = False) -> None:
        self.lost.append(reason)

    def undecodable(self, data: bytes, error: Exception) -> None:
        raise AssertionError(data) from error

    def understood(self) -> None:
        pass

    def catalogue_changed(self, market: str) -> None:
        raise AssertionError(market)

    def last(self, market: str = "A") -> tuple[str, str]:
        book = [book for book in self.books if book.market == market][-1]
        return book.state, book.reason


def following(*markets: str) -> Recorder:
    host = Recorder()
    host.give(Follow(tuple(Followed(make_market("kalshi", market), "g") for market in markets)))
    host.give(Opened())
    return host


def test_what_is_followed_is_subscribed_to_when_the_connection_opens_and_later() -> None:
    host = following("A")
    host.give(Follow((Followed(make_market("kalshi", "A")), Followed(make_market("kalshi", "B")))))
    sent = [one[2] for one in host.session.heard if one[0] == "sent"]
    assert sent == ["subscribe A", "subscribe B"]
    assert list(host.session.books) == ["A", "B"]


def test_a_closed_connection_distrusts_every_ladder_and_names_its_own_record() -> None:
    host = following("A", "B")
    host.take("A 4000")
    host.give(Closed("cut"))
    assert host.last() == ("recovering", "cut")
    assert [book.market for book in host.books] == ["A", "A"]  # nothing was said of B, so nothing is taken back
    assert host.books[-1].frame == host.frame - 1
    assert not host.session.open


def test_a_proof_that_is_overdue_makes_the_book_stale_by_a_mark_and_its_return_makes_it_live() -> None:
    host = following("A")
    host.take("A 4000")
    host.session.tick(host.clock + 1_000)
    assert host.marks == []
    host.clock += 1_001
    host.session.tick(host.clock)
    assert host.marks == [Doubt(("A",), "proof overdue")]
    assert host.last() == ("stale", "proof overdue")
    host.session.books["A"].published.confirm(host.clock)
    host.session.tick(host.clock + 10)
    assert host.marks[1:] == [Trust(("A",))]
    assert host.last() == ("live", "")


def test_a_ladder_that_is_not_trusted_is_not_doubted_as_well() -> None:
    host = following("A")
    host.session.tick(10**9)
    host.take("A 4000")
    host.give(Distrust(("A", "gone"), "sequence gap"))
    host.session.tick(10**9)
    assert host.marks == []
    assert host.last() == ("recovering", "sequence gap")


def test_holds_and_releases_reach_the_books_they_name() -> None:
    host = following("A", "B")
    host.take("A 4000")
    host.take("B 4000")
    host.give(Hold(("A",), "halted", "trading paused"))
    assert host.last("A") == ("halted", "trading paused")
    assert host.last("B") == ("live", "")
    host.give(Release(("A", "B")))
    assert host.last("A") == ("live", "")


def test_a_market_that_is_followed_no_more_is_closed_and_forgotten() -> None:
    host = following("A")
    host.take("A 4000")
    host.give(Unfollow("A"))
    host.give(Unfollow("A"))
    assert host.last() == ("closed", "no longer followed")
    assert dict(host.session.books) == {}
    assert ("sent", host.frame - 2, "unsubscribe A") in host.session.heard


def test_descriptions_moves_and_failures_are_passed_on() -> None:
    host = following("A")
    host.take("A 4000")
    host.give(Described(make_market("kalshi", "other")))
    host.give(Described(make_market("kalshi", "A")))
    host.give(Moved("A", "h"))
    host.give(Moved("other", "h"))
    host.give(Unanswered(7, "HTTP 500"))
    assert host.session.heard[1:] == [("described", "A", 0), ("unanswered", 7, "HTTP 500")]
    assert [(book.group, book.state) for book in host.books[1:]] == [("g", "moved"), ("h", "live")]


def test_every_mark_survives_its_record() -> None:
    market = make_market("polymarket", "0x1", ("1", "2"))
    marks: list[Mark] = [
        Follow((Followed(market, "g"),)),
        Unfollow("A"),
        Described(market),
        Moved("A", "h"),
        Opened(),
        Closed("cut"),
        Distrust(("A",), "gap"),
        Doubt(("A",), "overdue"),
        Trust(("A",)),
        Hold(("A",), "closed", "close time passed"),
        Release(("A",)),
        Unanswered(3, "HTTP 500"),
    ]
    assert [decode_mark(encode_mark(mark)) for mark in marks] == marks
