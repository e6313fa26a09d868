"""Kalshi's signature check, with both kinds of keys."""

import base64
import time
from pathlib import Path

import pytest
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from infra.simulator.kalshi.auth import Verifier

PATH = "/trade-api/ws/v2"
PrivateKey = rsa.RSAPrivateKey | Ed25519PrivateKey


def pem(file: Path, key: PrivateKey | ec.EllipticCurvePrivateKey) -> Path:
    file.write_bytes(key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo))
    return file


def signed(key: PrivateKey, stamp: str, text: str) -> dict[str, str]:
    if isinstance(key, rsa.RSAPrivateKey):
        pss = padding.PSS(mgf=padding.MGF1(hashes.SHA256()), salt_length=padding.PSS.DIGEST_LENGTH)
        signature = key.sign(text.encode(), pss, hashes.SHA256())
    else:
        signature = key.sign(text.encode())
    return {
        "kalshi-access-key": "key-id",
        "kalshi-access-timestamp": stamp,
        "kalshi-access-signature": base64.b64encode(signature).decode(),
    }


@pytest.fixture(scope="module", params=["rsa", "ed25519"])
def key(request: pytest.FixtureRequest) -> PrivateKey:
    return rsa.generate_private_key(65537, 2048) if request.param == "rsa" else Ed25519PrivateKey.generate()


def now() -> str:
    return str(time.time_ns() // 1_000_000)


def test_a_right_signature_passes_and_a_wrong_one_does_not(tmp_path: Path, key: PrivateKey) -> None:
    verifier, stamp = Verifier.from_file(pem(tmp_path / "key.pem", key)), now()
    good = signed(key, stamp, f"{stamp}GET{PATH}")
    assert verifier.refusal(good, "GET", PATH) is None
    assert verifier.refusal(good, "GET", PATH + "/x") == "KALSHI-ACCESS-SIGNATURE does not match"
    assert verifier.refusal(good | {"kalshi-access-signature": "!"}, "GET", PATH) is not None
    other = signed(Ed25519PrivateKey.generate(), stamp, f"{stamp}GET{PATH}")
    assert verifier.refusal(other, "GET", PATH) is not None


@pytest.mark.parametrize("name", ["key", "timestamp", "signature"])
def test_a_missing_header_is_refused(name: str) -> None:
    stamp = now()
    headers = signed(Ed25519PrivateKey.generate(), stamp, "")
    del headers[f"kalshi-access-{name}"]
    assert "missing" in str(Verifier().refusal(headers, "GET", PATH))


def test_a_stamp_in_seconds_or_of_another_day_is_refused() -> None:
    headers = signed(Ed25519PrivateKey.generate(), str(time.time_ns() // 1_000_000_000), "")
    assert "TIMESTAMP" in str(Verifier().refusal(headers, "GET", PATH))


def test_without_a_key_file_any_signature_passes() -> None:
    assert Verifier.from_file(None).refusal(signed(Ed25519PrivateKey.generate(), now(), "x"), "GET", PATH) is None


def test_a_wrong_key_file_is_named(tmp_path: Path) -> None:
    (tmp_path / "bad.pem").write_text("hello")
    with pytest.raises(ValueError, match=r"bad.pem: not a readable PEM"):
        Verifier.from_file(tmp_path / "bad.pem")
    curve = pem(tmp_path / "curve.pem", ec.generate_private_key(ec.SECP256R1()))
    with pytest.raises(ValueError, match="neither an RSA nor an Ed25519"):
        Verifier.from_file(curve)
