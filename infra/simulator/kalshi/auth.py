"""Kalshi's request signature, checked as the venue does (its page "API Keys")."""

import base64
import binascii
import time
from collections.abc import Callable
from pathlib import Path

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.asymmetric.padding import MGF1, PSS
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
from cryptography.hazmat.primitives.serialization import load_pem_public_key

# The venue documents no tolerance; this only catches stamps in seconds or from another day.
TOLERANCE_MS = 300_000


class Verifier:
    """Checks the three ``KALSHI-ACCESS-*`` headers over ``timestamp + METHOD + path``.

    Without a public key the signature must be there and be base64, but anyone's is accepted.
    """

    def __init__(
        self, public_key: RSAPublicKey | Ed25519PublicKey | None = None, now: Callable[[], int] = time.time_ns
    ) -> None:
        self._public_key = public_key
        self._now = now

    @classmethod
    def from_file(cls, file: Path | None, now: Callable[[], int] = time.time_ns) -> "Verifier":
        """Load a PEM public key (RSA or Ed25519); ValueError names the file when it is neither."""
        if file is None:
            return cls(now=now)
        try:
            key = load_pem_public_key(file.read_bytes())
        except (OSError, ValueError) as error:
            raise ValueError(f"{file}: not a readable PEM public key: {error}") from error
        if not isinstance(key, (RSAPublicKey, Ed25519PublicKey)):
            raise ValueError(f"{file}: neither an RSA nor an Ed25519 public key")  # noqa: TRY004
        return cls(key, now)

    def refusal(self, headers: dict[str, str], method: str, path: str) -> str | None:
        """Why a request is refused; None when it is well signed. Header names are expected in lower case."""
        key_id, stamp, signature = (
            headers.get(f"kalshi-access-{name}", "") for name in ("key", "timestamp", "signature")
        )
        if not key_id or not stamp or not signature:
            return "missing KALSHI-ACCESS-KEY, KALSHI-ACCESS-TIMESTAMP or KALSHI-ACCESS-SIGNATURE"
        if not stamp.isdecimal() or abs(int(stamp) - self._now() // 1_000_000) > TOLERANCE_MS:
            return "KALSHI-ACCESS-TIMESTAMP is not the present time in milliseconds"
        try:
            signed = base64.b64decode(signature, validate=True)
            self._verify(signed, f"{stamp}{method}{path}".encode())
        except (binascii.Error, ValueError, InvalidSignature):
            return "KALSHI-ACCESS-SIGNATURE does not match"
        return None

    def _verify(self, signature: bytes, text: bytes) -> None:
        if isinstance(self._public_key, RSAPublicKey):
            padding = PSS(mgf=MGF1(hashes.SHA256()), salt_length=PSS.DIGEST_LENGTH)
            self._public_key.verify(signature, text, padding, hashes.SHA256())
        elif self._public_key is not None:
            self._public_key.verify(signature, text)
