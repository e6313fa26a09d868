"""Kalshi request signing ("API Keys" guide): key id, time in milliseconds, signature over time, method and path."""

import base64
from collections.abc import Callable
from pathlib import Path

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey
from cryptography.hazmat.primitives.serialization import load_pem_private_key

from runtime.settings import KalshiSettings, SettingsError

PrivateKey = RSAPrivateKey | Ed25519PrivateKey

_PSS = padding.PSS(mgf=padding.MGF1(hashes.SHA256()), salt_length=padding.PSS.DIGEST_LENGTH)


class Signer:
    """Makes the headers of a request; without a key it makes none."""

    def __init__(self, now: Callable[[], int], key_id: str = "", key: PrivateKey | None = None) -> None:
        self._now = now
        self._key_id = key_id
        self._key = key

    @property
    def has_key(self) -> bool:
        """True when requests are signed; the websocket needs that."""
        return self._key is not None

    def headers(self, method: str, path: str) -> dict[str, str]:
        """Headers for `method` on `path`: from the root, without query and host."""
        if self._key is None:
            return {}
        timestamp = str(self._now() // 1_000_000)
        signature = _sign(self._key, f"{timestamp}{method}{path}".encode())
        return {
            "KALSHI-ACCESS-KEY": self._key_id,
            "KALSHI-ACCESS-TIMESTAMP": timestamp,
            "KALSHI-ACCESS-SIGNATURE": base64.b64encode(signature).decode(),
        }


def make_signer(settings: KalshiSettings, now: Callable[[], int]) -> Signer:
    """The signer that the settings describe; raises SettingsError when the key cannot be used."""
    if settings.kalshi_private_key is not None:
        key = parse_key(settings.kalshi_private_key.get_secret_value().encode(), "DUTCHBOOK_KALSHI_PRIVATE_KEY: it")
    elif settings.kalshi_private_key_file is not None:
        key = load_key(settings.kalshi_private_key_file)
    else:
        return Signer(now)
    return Signer(now, settings.kalshi_key_id, key)


def load_key(file: Path) -> PrivateKey:
    """The RSA or Ed25519 key of a PEM file; raises SettingsError."""
    name = f"DUTCHBOOK_KALSHI_PRIVATE_KEY_FILE: {file}"
    try:
        text = file.read_bytes()
    except OSError as error:
        raise SettingsError(f"{name} cannot be read: {error.strerror}") from None
    return parse_key(text, name)


def parse_key(text: bytes, name: str) -> PrivateKey:
    """The RSA or Ed25519 key of a PEM text; raises SettingsError, whose message begins with `name`."""
    try:
        key = load_pem_private_key(text, password=None)
    except (ValueError, TypeError, UnsupportedAlgorithm):
        # The reason is left out: it could quote the text.
        raise SettingsError(f"{name} holds no unencrypted private key in PEM form") from None
    if not isinstance(key, RSAPrivateKey | Ed25519PrivateKey):
        raise SettingsError(f"{name} holds a {type(key).__name__}; Kalshi takes RSA and Ed25519")
    return key


def _sign(key: PrivateKey, text: bytes) -> bytes:
    if isinstance(key, RSAPrivateKey):
        return key.sign(text, _PSS, hashes.SHA256())
    return key.sign(text)
