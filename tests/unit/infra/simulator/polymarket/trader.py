"""A Polymarket account for tests: signs requests itself and posts orders with amounts that it works out itself."""

import base64
import hmac
import json
from hashlib import sha256
from pathlib import Path
from typing import Any

from infra.simulator.polymarket.options import Credentials
from infra.simulator.recorded import Reply
from tests.unit.infra.simulator.polymarket.floor import Floor
from tests.unit.infra.simulator.tapes import YES

ADDRESS = "0x" + "a1" * 20
SECRET = base64.urlsafe_b64encode(bytes(range(200, 232))).decode()
CREDENTIALS = Credentials("9180014b-33c8-9240-a14b-bdca11c0a465", SECRET, "phrase", ADDRESS)


class Trader:
    """The owner of the floor's credentials."""

    def __init__(self, folder: Path, **options: Any) -> None:
        self.floor = Floor(folder, credentials=CREDENTIALS, **options)
        self.salt = 0

    def headers(self, method: str, path: str, body: str, **wrong: str) -> dict[str, str]:
        """The signed headers of a call, with some of them put wrong."""
        stamp = wrong.pop("timestamp", str(self.floor.now_ns // 10**9))
        key = base64.urlsafe_b64decode(SECRET)
        digest = hmac.new(key, (stamp + method + path + body).encode(), sha256).digest()
        return {
            "poly_address": ADDRESS,
            "poly_signature": base64.urlsafe_b64encode(digest).decode(),
            "poly_timestamp": stamp,
            "poly_api_key": CREDENTIALS.apiKey,
            "poly_passphrase": "phrase",
        } | wrong

    def call(self, method: str, path: str, body: Any = None) -> Reply:
        """A signed call."""
        text = json.dumps(body) if body is not None else ""
        return self.floor.ask(method, path, text.encode(), headers=self.headers(method, path, text))

    def form(
        self, side: str, price: float, shares: float, kind: str = "GTC", token: str = YES, **more: Any
    ) -> dict[str, Any]:
        """A request body; ``more`` goes into the order where the order has such a field."""
        self.salt += 1
        amounts = [str(round(price * shares * 1_000_000)), str(round(shares * 1_000_000))]
        making, taking = amounts if side == "BUY" else reversed(amounts)
        order: dict[str, Any] = {
            "salt": self.salt, "maker": ADDRESS, "signer": ADDRESS, "tokenId": token, "makerAmount": making,
            "takerAmount": taking, "side": side, "signatureType": 0, "timestamp": str(self.floor.now_ns // 10**6),
            "expiration": "0", "metadata": "0x" + "00" * 32, "builder": "0x" + "00" * 32, "signature": "0x00",
        }  # fmt: skip
        body = {"deferExec": False, "postOnly": False, "owner": CREDENTIALS.apiKey, "orderType": kind}
        inner = {name: value for name, value in more.items() if name not in body}
        return body | {name: value for name, value in more.items() if name in body} | {"order": order | inner}

    def post(self, *form: Any, **more: Any) -> Reply:
        """Post an order, let what it moved be told, and give the reply, waiting for one that is held."""
        reply = self.call("POST", "/order", self.form(*form, **more))
        self.floor.pass_ms()
        return reply

    def cancel(self, order_id: str) -> Reply:
        """Cancel an order."""
        return self.call("DELETE", "/order", {"orderID": order_id})

    def order(self, order_id: str) -> dict[str, Any]:
        """An order as it stands."""
        body: dict[str, Any] = self.call("GET", f"/data/order/{order_id}").body
        return body


def refused(reply: Reply) -> str:
    """The words of a refusal."""
    assert reply.status == 400
    return str(reply.body["error"])
