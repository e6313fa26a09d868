import base64
from pathlib import Path

import pytest
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, padding, rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from pydantic import SecretStr

from producers.kalshi.auth import Signer, load_key, make_signer
from runtime.settings import KalshiSettings, SettingsError, load

Key = rsa.RSAPrivateKey | ed25519.Ed25519PrivateKey | ec.EllipticCurvePrivateKey
NOW_NS = 1_703_123_456_789_123_456
TEXT = b"1703123456789GET/trade-api/ws/v2"


def write_pem(path: Path, key: Key, form: PrivateFormat = PrivateFormat.PKCS8) -> Path:
    path.write_bytes(key.private_bytes(Encoding.PEM, form, NoEncryption()))
    return path


def test_rsa_keys_sign_with_pss(tmp_path: Path) -> None:
    key = rsa.generate_private_key(65537, 2048)
    file = write_pem(tmp_path / "key.pem", key, PrivateFormat.TraditionalOpenSSL)
    settings = KalshiSettings(kalshi_key_id="id", kalshi_private_key_file=file, kalshi_poll_ms=1000)
    headers = make_signer(settings, lambda: NOW_NS).headers("GET", "/trade-api/ws/v2")
    assert (headers["KALSHI-ACCESS-KEY"], headers["KALSHI-ACCESS-TIMESTAMP"]) == ("id", "1703123456789")
    pss = padding.PSS(padding.MGF1(hashes.SHA256()), salt_length=32)
    signature = base64.b64decode(headers["KALSHI-ACCESS-SIGNATURE"])
    key.public_key().verify(signature, TEXT, pss, hashes.SHA256())


def test_ed25519_keys_sign_plainly(tmp_path: Path) -> None:
    key = ed25519.Ed25519PrivateKey.generate()
    signer = Signer(lambda: NOW_NS, "id", load_key(write_pem(tmp_path / "key.pem", key)))
    signature = signer.headers("GET", "/trade-api/ws/v2")["KALSHI-ACCESS-SIGNATURE"]
    key.public_key().verify(base64.b64decode(signature), TEXT)


def test_a_key_may_come_as_text(monkeypatch: pytest.MonkeyPatch) -> None:
    key = ed25519.Ed25519PrivateKey.generate()
    text = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()
    monkeypatch.setenv("DUTCHBOOK_KALSHI_KEY_ID", "id")
    monkeypatch.setenv("DUTCHBOOK_KALSHI_PRIVATE_KEY", text)
    headers = make_signer(load(KalshiSettings), lambda: NOW_NS).headers("GET", "/trade-api/ws/v2")
    key.public_key().verify(base64.b64decode(headers["KALSHI-ACCESS-SIGNATURE"]), TEXT)
    assert headers["KALSHI-ACCESS-KEY"] == "id"


def test_a_text_that_is_no_key_is_named_and_not_shown() -> None:
    settings = KalshiSettings(kalshi_key_id="id", kalshi_private_key=SecretStr("secret text"), kalshi_poll_ms=1000)
    with pytest.raises(SettingsError, match="DUTCHBOOK_KALSHI_PRIVATE_KEY: it holds no unencrypted") as caught:
        make_signer(settings, lambda: NOW_NS)
    assert "secret" not in str(caught.value)


def test_without_a_key_nothing_is_signed() -> None:
    signer = make_signer(KalshiSettings(kalshi_poll_ms=1000), lambda: NOW_NS)
    assert (signer.has_key, signer.headers("GET", "/x")) == (False, {})


def test_a_key_that_cannot_be_used_is_named_and_not_shown(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match=r"DUTCHBOOK_KALSHI_PRIVATE_KEY_FILE: .*none.pem cannot be read"):
        load_key(tmp_path / "none.pem")
    (tmp_path / "bad.pem").write_text("secret text")
    with pytest.raises(SettingsError, match="holds no unencrypted private key") as caught:
        load_key(tmp_path / "bad.pem")
    assert "secret" not in str(caught.value)
    with pytest.raises(SettingsError, match="Kalshi takes RSA and Ed25519"):
        load_key(write_pem(tmp_path / "ec.pem", ec.generate_private_key(ec.SECP256R1())))
