"""Amazon MSK with IAM: how a cluster's address is read, and the short-lived tokens that sign a client in.

An address is `host:port[,host:port]` for a cluster that is spoken to plainly, and `iam://host:port[,host:port]` for one
of MSK's IAM listeners: TLS, SASL/OAUTHBEARER, and as the token a URL that is signed with the process's AWS credentials
("IAM access control" in the MSK developer guide). Signing is arithmetic: only finding the credentials may take a
request, to the container's own address. A token lasts 15 minutes and is made anew by whoever holds the connection.
"""

import re
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any, Final, NamedTuple

from runtime import logs
from schemas.topics import IAM

LIFETIME_S: Final = 900
RETRY_S: Final = 10.0
"""A client asks again so long after a token that could not be made."""
_ASKED_AGAIN_AT: Final = 0.8
"""librdkafka refreshes a token after this part of its life."""
_NO_TOKEN: Final = "none"  # noqa: S105 - what MSK refuses

_EXAMPLE: Final = "b-1.cluster.a1b2c3.c2.kafka.us-east-1.amazonaws.com:9098"
_PLAIN: Final = re.compile(r"(?:[A-Za-z0-9_](?:[A-Za-z0-9_.-]*[A-Za-z0-9_])?|\[[0-9A-Fa-f:.]+\]):(\d{1,5})")
_MSK: Final = re.compile(
    r"(?:[a-z0-9](?:[a-z0-9-]*[a-z0-9])?\.)+kafka(?:-serverless)?"
    r"\.(?P<region>[a-z]{2}(?:-[a-z]+)+-[1-9])\.amazonaws\.com:(\d{1,5})"
)


class TokenFailed(RuntimeError):
    """No token could be made; the message says why and quotes no secret."""


@dataclass(frozen=True, slots=True)
class Cluster:
    """A cluster as its address describes it. `aws_region` is where its tokens are signed for, None when it is plain."""

    servers: str
    aws_region: str | None = None


class Token(NamedTuple):
    """A token and when it ends, in seconds since 1970."""

    text: str
    expires_s: float


def parse(address: str) -> Cluster:
    """The cluster of an address; raises ValueError with what is wrong with it."""
    plain = not address.startswith(IAM)
    servers = address.removeprefix(IAM).split(",")
    form, wanted = (_PLAIN, "host:port") if plain else (_MSK, "an MSK host and port such as " + _EXAMPLE)
    found = []
    for server in servers:
        match = form.fullmatch(server)
        if match is None or not 0 < int(match[match.re.groups]) < 65536:
            raise ValueError(f"{address!r}: {server!r} is not {wanted}")
        found.append(match)
    if plain:
        return Cluster(address)
    regions = sorted({match["region"] for match in found})
    if len(regions) > 1:
        raise ValueError(f"{address!r} names hosts of several AWS regions: {', '.join(regions)}")
    return Cluster(",".join(servers), regions[0])


def sign(aws_region: str) -> Token:
    """A fresh token, signed with the credentials that the AWS SDK finds; raises TokenFailed."""
    try:
        # Imported here: the AWS SDK is large, and a plain cluster needs none of it.
        from aws_msk_iam_sasl_signer import MSKAuthTokenProvider

        text, expires_ms = MSKAuthTokenProvider.generate_auth_token(aws_region)
    except AttributeError as error:
        if getattr(error, "obj", error) is None:  # the signer looks for the keys of credentials that were not found
            raise TokenFailed("no AWS credentials were found") from error
        raise TokenFailed(f"{type(error).__name__}: {error}") from error
    except Exception as error:  # whatever the AWS SDK raises
        raise TokenFailed(f"{type(error).__name__}: {error}") from error
    return Token(text, expires_ms / 1000)


def client_settings(address: str, client: str) -> dict[str, Any]:
    """What every client of librdkafka needs to reach the cluster of an address; `client` names it in the log."""
    cluster = parse(address)
    if cluster.aws_region is None:
        return {"bootstrap.servers": cluster.servers}
    return {
        "bootstrap.servers": cluster.servers,
        "security.protocol": "SASL_SSL",
        "sasl.mechanism": "OAUTHBEARER",
        "oauth_cb": Refresh(client, partial(sign, cluster.aws_region)),
    }


class Refresh:
    """Gives librdkafka its tokens: at the start, and again after four fifths of each one's life.

    It is called on a thread of the client, and it never raises: in confluent-kafka 2.16 an error raised here stays on
    that thread and breaks the next call, and without a first token a client cannot even be made. So when no token can
    be made, the last one is given again with so short a life that librdkafka asks again after `RETRY_S`. MSK accepts
    it as long as it really lasts; later it refuses, and the client keeps trying.
    """

    def __init__(self, client: str, make: Callable[[], Token], *, now: Callable[[], float] = time.time) -> None:
        self._log = logs.get(client=client)
        self._make = make
        self._now = now
        self._last = _NO_TOKEN

    def __call__(self, _settings: object) -> tuple[str, float]:
        """The token and its end in seconds since 1970."""
        try:
            token = self._make()
        except TokenFailed as error:
            self._log.warning("no token for MSK: asking again", in_s=RETRY_S, error=str(error))
            return self._last, self._now() + RETRY_S / _ASKED_AGAIN_AT
        self._last = token.text
        return token
