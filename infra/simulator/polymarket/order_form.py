"""What a client posts as an order: the signed struct and what goes with it, read and judged as far as it can be alone.

Amounts are 6-decimal integers. A BUY makes dollars and takes shares, a SELL makes shares and takes dollars; the price
is implied. Inside: price 1e-4 dollar, quantity 1e-2 share, money 1e-6 dollar.
"""

from typing import Any, Literal

import msgspec

from infra.simulator.exchange import ONE_DOLLAR

SHARE_UNIT = 10_000
"""Base units (1e-6 share) in the hundredth of a share that orders are matched in."""

LARGEST_SALT = (1 << 53) - 1
"""What a JSON number holds exactly everywhere."""

SHORTEST_LIFE_S, EXPIRES_EARLY_S = 180, 60
"""A GTD order must live as long as this at least, and is let go this much before the time it states."""

NO_BYTES = "0x" + "00" * 32
VERSION_1_FIELDS = frozenset({"taker", "nonce", "feeRateBps"})

OrderType = Literal["GTC", "GTD", "FOK", "FAK"]

INVALID = "Invalid order payload"
VERSION_MISMATCH = "order_version_mismatch"
WRONG_OWNER = "the order owner has to be the owner of the API KEY"
WRONG_SIGNER = "the order signer address has to be the address of the API KEY"
INVALID_EXPIRATION = "invalid expiration"
NO_POST_ONLY = "invalid post-only order: only GTC and GTD orders can be post-only"


class OrderRefused(ValueError):
    """The venue does not take an order; the message is the venue's own."""


class SignedOrder(msgspec.Struct, frozen=True):
    """The order struct that is signed, with ``expiration`` and ``signature``, which are not."""

    salt: int
    maker: str
    signer: str
    tokenId: str  # noqa: N815 - the venue's names
    makerAmount: str  # noqa: N815
    takerAmount: str  # noqa: N815
    side: Literal["BUY", "SELL"]
    signatureType: int  # noqa: N815
    timestamp: str
    signature: str
    expiration: str = "0"
    metadata: str = NO_BYTES
    builder: str = NO_BYTES

    @property
    def shares(self) -> int:
        """The side of the order that is shares, 1e-6 share."""
        return int(self.takerAmount if self.side == "BUY" else self.makerAmount)

    @property
    def dollars(self) -> int:
        """The side of the order that is money, 1e-6 dollar."""
        return int(self.makerAmount if self.side == "BUY" else self.takerAmount)

    def price(self, tick: int) -> int | None:
        """The price on a grid of this step that the amounts mean; None when they mean none.

        Amounts are rounded to four to six decimals, so they imply a price that is off by a little: at most a tenth of
        the finest tick is taken for that.
        """
        if not self.shares:
            return None
        nearest = (2 * self.dollars * ONE_DOLLAR // (self.shares * tick) + 1) // 2 * tick
        near = 10 * abs(self.dollars * ONE_DOLLAR - nearest * self.shares) <= self.shares
        return nearest if near and tick <= nearest <= ONE_DOLLAR - tick else None


class OrderForm(msgspec.Struct, frozen=True):
    """The body of ``POST /order``."""

    order: SignedOrder
    owner: str
    orderType: OrderType = "GTC"  # noqa: N815
    postOnly: bool = False  # noqa: N815
    deferExec: bool = False  # noqa: N815

    @property
    def resting(self) -> bool:
        """Whether what does not trade at once stays in the book."""
        return self.orderType in ("GTC", "GTD")


def read_form(body: bytes) -> OrderForm:
    """The order of a request body.

    Raises:
        OrderRefused: it is no order, or one of the exchange's first version.
    """
    try:
        raw = msgspec.json.decode(body)
        if isinstance(raw, dict) and isinstance(raw.get("order"), dict) and VERSION_1_FIELDS & raw["order"].keys():
            raise OrderRefused(VERSION_MISMATCH)
        form = msgspec.convert(raw, OrderForm)
    except msgspec.MsgspecError as error:
        raise OrderRefused(INVALID) from error
    order = form.order
    numbers = (order.tokenId, order.makerAmount, order.takerAmount, order.timestamp, order.expiration)
    words = (order.maker, order.signer, order.metadata, order.builder)
    if not all(map(_is_number, numbers)) or not all(map(_is_hex, words)) or not 0 <= order.salt <= LARGEST_SALT:
        raise OrderRefused(INVALID)
    return form


def judge_form(form: OrderForm, api_key: str, address: str, now_s: int) -> None:
    """Refuse what is wrong whatever the market.

    Raises:
        OrderRefused: with the venue's words.
    """
    if form.owner != api_key:
        raise OrderRefused(WRONG_OWNER)
    if form.order.signer.lower() != address.lower():
        raise OrderRefused(WRONG_SIGNER)
    expiration = int(form.order.expiration)
    timely = expiration >= now_s + SHORTEST_LIFE_S if form.orderType == "GTD" else expiration == 0
    if not timely:
        raise OrderRefused(INVALID_EXPIRATION)
    if form.postOnly and not form.resting:
        raise OrderRefused(NO_POST_ONLY)


def counter_amount(fill: int, making: int, taking: int) -> int:
    """What a fill of ``fill`` from an order that makes ``making`` for ``taking`` is paid: rounded down, as on chain."""
    return fill * taking // making


def affordable(levels: list[tuple[int, int]], dollars: int) -> tuple[int, int]:
    """How many hundredths of a share a budget (1e-6 dollar) buys from these levels, and what of it is left then.

    A hundredth of a share costs as many millionths of a dollar as the price has ten-thousandths.
    """
    quantity = 0
    for price, size in levels:
        taken = min(size, dollars // price)
        quantity, dollars = quantity + taken, dollars - taken * price
        if taken < size:
            break
    return quantity, dollars


def money(amount: int, unit: str) -> str:
    """An amount of 1e-6 as a decimal without trailing zeros, or as it is when the unit is ``base``."""
    if unit == "base":
        return str(amount)
    return f"{amount // 1_000_000}.{amount % 1_000_000:06d}".rstrip("0").rstrip(".")


def _is_number(text: Any) -> bool:
    return isinstance(text, str) and text.isascii() and text.isdecimal() and len(text) <= 78


def _is_hex(text: Any) -> bool:
    return isinstance(text, str) and text.startswith("0x") and len(text) <= 66 and _is_int16(text)


def _is_int16(text: str) -> bool:
    try:
        int(text, 16)
    except ValueError:
        return False
    return True
