"""Polymarket's L2 authentication of private calls: HMAC-SHA256 over time stamp, method, path and body.

Source: the authentication page and the official clients' HMAC: the key is the decoded secret, the signature url-safe
base64 with padding, the path without its query, the body as sent.
"""

import base64
import binascii
import hmac
from collections.abc import Mapping
from hashlib import sha256

from infra.simulator.polymarket.options import Credentials
from infra.simulator.recorded import Request

UNAUTHORIZED = "Unauthorized/Invalid api key"


def signature(secret: str, timestamp: str, method: str, path: str, body: str = "") -> str:
    """The ``POLY_SIGNATURE`` of a request; the secret may be ordinary or url-safe base64.

    Raises:
        ValueError: the secret is no base64.
    """
    try:
        key = base64.b64decode(secret.replace("-", "+").replace("_", "/"), validate=True)
    except binascii.Error as error:
        raise ValueError(f"secret is no base64: {error}") from error
    digest = hmac.new(key, f"{timestamp}{method}{path}{body}".encode(), sha256).digest()
    return base64.urlsafe_b64encode(digest).decode()


class Gate:
    """Lets the owner of the configured credentials in, and nobody when there are none."""

    def __init__(self, credentials: Credentials | None, tolerance_s: int) -> None:
        self.credentials = credentials
        self._tolerance_s = tolerance_s
        if credentials is not None:
            signature(credentials.secret, "0", "GET", "/")

    def refuses(self, request: Request, now_s: int) -> bool:
        """Whether a request lacks a header, is not signed with the secret, or is not of this time."""
        known, headers = self.credentials, request.headers
        if known is None or not _same(headers, known):
            return True
        timestamp = headers.get("poly_timestamp", "")
        if not timestamp.isascii() or not timestamp.isdecimal() or abs(int(timestamp) - now_s) > self._tolerance_s:
            return True
        body = request.body.decode("utf-8", "replace")
        wanted = signature(known.secret, timestamp, request.method, request.path, body)
        return not hmac.compare_digest(wanted.encode(), headers.get("poly_signature", "").encode())


def _same(headers: Mapping[str, str], known: Credentials) -> bool:
    return (
        headers.get("poly_api_key") == known.apiKey
        and headers.get("poly_passphrase") == known.passphrase
        and headers.get("poly_address", "").lower() == known.address.lower()
    )
