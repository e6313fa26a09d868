"""A venue small enough to test what every line and session share: a frame is `MARKET BID`, a book has one level."""

from collections.abc import Callable

from producers.books import PublishedBook, Receipt
from producers.ladder import Ladder
from producers.session import Host, Session
from producers.transcript import Followed
from schemas.records import Book, Market


class ToyBook:
    """One level."""

    def __init__(self, published: PublishedBook) -> None:
        self.published = published

    def take(self, bid: int, receipt: Receipt, now_ns: int) -> Book | None:
        ladder = Ladder()
        ladder.replace([(bid, 100)], [])
        return self.published.show(ladder, receipt, 0, now_ns)

    def distrust(self, reason: str, receipt: Receipt, now_ns: int) -> Book | None:
        return self.published.distrust(reason, receipt, now_ns)


class ToySession(Session[ToyBook]):
    """Subscribes by name, keeps what it hears of its own commands and requests."""

    def __init__(self, host: Host, published: Callable[[Followed], PublishedBook], overdue_ns: int = 1_000) -> None:
        super().__init__(host, published, overdue_ns=overdue_ns)
        self.heard: list[tuple[object, ...]] = []
        self.lose_at_ns = 0

    def make_book(self, followed: Followed, published: PublishedBook) -> ToyBook:
        return ToyBook(published)

    def opened(self, now_ns: int) -> None:
        self.host.send("subscribe " + " ".join(self.books))

    def followed(self, markets: list[str], now_ns: int) -> None:
        self.host.send("subscribe " + " ".join(markets))

    def unfollowed(self, market: str, book: ToyBook) -> None:
        if self.open:
            self.host.send(f"unsubscribe {market}")

    def described(self, market: Market, receipt: Receipt, now_ns: int) -> None:
        self.heard.append(("described", market.market, market.close_ns))

    def closed(self) -> None:
        self.heard.append(("closed",))

    def frame(self, receipt: Receipt, data: bytes, now_ns: int) -> None:
        try:
            market, bid = data.decode().split()
            book = self.books[market]
            self.host.say(book.take(int(bid), receipt, now_ns))
        except (ValueError, KeyError) as error:
            self.host.undecodable(data, error)
        else:
            self.host.understood()

    def sent(self, receipt: Receipt, text: str) -> None:
        self.heard.append(("sent", receipt.frame, text))

    def asked(self, receipt: Receipt, path: str, body: bytes | None) -> None:
        self.heard.append(("asked", receipt.frame, path, body))

    def answered(self, receipt: Receipt, asked: int, data: bytes, now_ns: int) -> None:
        self.heard.append(("answered", receipt.frame, asked, data))
        self.frame(receipt, data, now_ns)

    def unanswered(self, asked: int, reason: str, receipt: Receipt, now_ns: int) -> None:
        self.heard.append(("unanswered", asked, reason))

    def ponged(self, sent_ns: int) -> None:
        self.heard.append(("ponged",))

    def tick(self, now_ns: int) -> None:
        super().tick(now_ns)
        if self.lose_at_ns and now_ns >= self.lose_at_ns:
            self.lose_at_ns = 0
            self.host.lose("scheduled rotation", planned=True)
