"""A broker as far as its door: TLS, then Kafka's SASL handshake (protocol guide, keys 17, 18 and 36), and no further.

It keeps each token it is shown, and refuses one that is no signed URL. Behind the door is a cluster without brokers.
"""

import asyncio
import base64
import datetime
import ipaddress
import ssl
import struct
import threading
from pathlib import Path
from typing import Self

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID

HANDSHAKE, API_VERSIONS, AUTHENTICATE, METADATA = 17, 18, 36, 3
SERVED = ((METADATA, 1, 1), (HANDSHAKE, 1, 1), (API_VERSIONS, 0, 0), (AUTHENTICATE, 1, 1))
UNSUPPORTED_VERSION, AUTHENTICATION_FAILED = 35, 58


class SaslBroker:
    """Runs on a thread of its own. `lifetime_ms` is how long a session lasts before it must be authenticated again."""

    def __init__(self, folder: Path, *, lifetime_ms: int = 0) -> None:
        self.authority = folder / "authority.pem"
        self._key = folder / "key.pem"
        self._write_certificate()
        self._lifetime_ms = lifetime_ms
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever)
        self.tokens: list[str] = []
        self.mechanisms: set[str] = set()
        self.port = 0

    def __enter__(self) -> Self:
        self._thread.start()
        asyncio.run_coroutine_threadsafe(self._listen(), self._loop).result(10)
        return self

    def __exit__(self, *_: object) -> None:
        asyncio.run_coroutine_threadsafe(self._close(), self._loop).result(10)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    @property
    def address(self) -> str:
        return f"127.0.0.1:{self.port}"

    def _write_certificate(self) -> None:
        key, now = ec.generate_private_key(ec.SECP256R1()), datetime.datetime.now(datetime.UTC)
        name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "a broker")])
        certificate = (
            x509.CertificateBuilder()
            .subject_name(name)
            .issuer_name(name)
            .public_key(key.public_key())
            .serial_number(1)
            .not_valid_before(now - datetime.timedelta(hours=1))
            .not_valid_after(now + datetime.timedelta(hours=1))
            .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]), False)
            .add_extension(x509.BasicConstraints(ca=True, path_length=None), True)
            .sign(key, hashes.SHA256())
        )
        self.authority.write_bytes(certificate.public_bytes(Encoding.PEM))
        self._key.write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))

    async def _listen(self) -> None:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(self.authority, self._key)
        self._writers: set[asyncio.StreamWriter] = set()
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0, ssl=context)
        self.port = self._server.sockets[0].getsockname()[1]

    async def _close(self) -> None:
        self._server.close()
        for writer in self._writers:
            writer.transport.abort()
        await asyncio.sleep(0.05)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._writers.add(writer)
        try:
            while True:
                (size,) = struct.unpack(">i", await reader.readexactly(4))
                answer = self._answer(await reader.readexactly(size))
                writer.write(struct.pack(">i", len(answer)) + answer)
        except (asyncio.IncompleteReadError, OSError):
            return
        finally:
            writer.transport.abort()

    def _answer(self, request: bytes) -> bytes:
        key, version, correlation, client = struct.unpack_from(">hhih", request)
        body = request[10 + max(client, 0) :]
        head = struct.pack(">i", correlation)
        if key == API_VERSIONS:
            apis = b"".join(struct.pack(">hhh", *api) for api in SERVED)
            return head + struct.pack(">hi", UNSUPPORTED_VERSION if version else 0, len(SERVED)) + apis
        if key == HANDSHAKE:
            mechanism = body[2:].decode()
            self.mechanisms.add(mechanism)
            return head + struct.pack(">hih", 0, 1, len(mechanism)) + mechanism.encode()
        if key == AUTHENTICATE:
            assert version == 1
            message = body[4:].decode()
            assert message.startswith("n,,\x01auth=Bearer ")
            token = message.removeprefix("n,,\x01auth=Bearer ").rstrip("\x01")
            self.tokens.append(token)
            error = 0 if url_of(token).startswith("https://") else AUTHENTICATION_FAILED
            return head + struct.pack(">hhiq", error, -1, 0, self._lifetime_ms)
        assert key == METADATA
        return head + struct.pack(">iii", 0, -1, 0)


def url_of(token: str) -> str:
    """The signed URL inside a token."""
    return base64.urlsafe_b64decode(token + "=" * (-len(token) % 4)).decode(errors="replace")
