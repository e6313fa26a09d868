"""What no resource of a plan may be, whichever module it comes from: open, unencrypted, or allowed everything.

The tests in HCL say what the known resources are; this looks at all of them, also those that somebody adds later.
"""

import ipaddress
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, Final

Attributes = Mapping[str, Any]
Rule = Callable[[Attributes], Iterator[str]]

ENTRIES: Final = frozenset(
    {
        "aws_alb",
        "aws_apigatewayv2_api",
        "aws_cloudfront_distribution",
        "aws_elb",
        "aws_instance",
        "aws_lambda_function_url",
        "aws_lb",
        "aws_vpn_gateway",
    }
)
"""Ways in from outside: there is none yet, so each is news."""

PUBLIC_FLAGS: Final = (
    "publicly_accessible",
    "assign_public_ip",
    "map_public_ip_on_launch",
    "associate_public_ip_address",
)

OURS: Final = ipaddress.IPv4Network("10.0.0.0/8")

UNSCOPED: Final = frozenset({"ecr:GetAuthorizationToken"})
"""Actions that AWS allows for every resource or for none."""


def sweep(changes: Sequence[Mapping[str, Any]]) -> list[str]:
    """What is wrong with the planned resources, a line each: `changes` as in Terraform's plan JSON."""
    planned = [(str(change["address"]), str(change["type"]), change["change"].get("after") or {}) for change in changes]
    found = [f"{address}: {fault}" for address, kind, after in planned for fault in _faults(kind, after)]
    found += _unguarded_buckets(planned)
    return found


def _faults(kind: str, after: Attributes) -> Iterator[str]:
    if kind in ENTRIES:
        yield "a way in from outside, and none is meant to exist"
    for flag in _flags_set(after):
        yield f"{flag} is set"
    if kind in RULES:
        yield from RULES[kind](after)


def _flags_set(value: object) -> Iterator[str]:
    """The flags that make something public, at any depth."""
    if isinstance(value, Mapping):
        for name, inner in value.items():
            if name in PUBLIC_FLAGS and inner is True:
                yield str(name)
            yield from _flags_set(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from _flags_set(inner)


# -- by type -----------------------------------------------------------------------------------------------------------


def _ingress(after: Attributes) -> Iterator[str]:
    if after.get("cidr_ipv6"):
        yield f"admits {after['cidr_ipv6']}"
    if after.get("prefix_list_id"):
        yield f"admits the prefix list {after['prefix_list_id']}"
    address = after.get("cidr_ipv4")
    if address and not ipaddress.IPv4Network(address).subnet_of(OURS):
        yield f"admits {address}"


def _security_group(after: Attributes) -> Iterator[str]:
    if after.get("ingress"):
        yield "has rules of its own: a rule is a resource of its own, so that it is seen"


def _closed_group(after: Attributes) -> Iterator[str]:
    if after.get("ingress") or after.get("egress"):
        yield "the default security group is not closed"


def _old_rule(_after: Attributes) -> Iterator[str]:
    yield "not seen by the tests: use aws_vpc_security_group_ingress_rule or _egress_rule"


def _log_group(after: Attributes) -> Iterator[str]:
    yield from _needs(after, "kms_key_id")
    if not after.get("retention_in_days"):
        yield "is kept for ever"


def _key(after: Attributes) -> Iterator[str]:
    if after.get("enable_key_rotation") is not True:
        yield "is never rotated"
    if after.get("multi_region"):
        yield "can be copied into other regions"


def _repository(after: Attributes) -> Iterator[str]:
    if after.get("image_tag_mutability") != "IMMUTABLE":
        yield "tags can be moved"
    if not any(scan.get("scan_on_push") for scan in after.get("image_scanning_configuration") or []):
        yield "images are not scanned"
    if not any(entry.get("encryption_type") == "KMS" for entry in after.get("encryption_configuration") or []):
        yield "images are not encrypted with a key of ours"


def _database(after: Attributes) -> Iterator[str]:
    if after.get("storage_encrypted") is not True:
        yield "is not encrypted"
    if after.get("manage_master_user_password") is not True:
        yield "its password would stand in the state"


def _secret(after: Attributes) -> Iterator[str]:
    yield from _needs(after, "kms_key_id")
    if after.get("replica"):
        yield "has copies in other regions"


def _secret_value(_after: Attributes) -> Iterator[str]:
    yield "a secret's value would stand in the state"


def _cluster(after: Attributes) -> Iterator[str]:
    for encryption in after.get("encryption_info") or [{}]:
        transit = (encryption.get("encryption_in_transit") or [{}])[0]
        if transit.get("client_broker") != "TLS" or transit.get("in_cluster") is not True:
            yield "speaks without TLS"
        yield from _needs(encryption, "encryption_at_rest_kms_key_arn")
    for nodes in after.get("broker_node_group_info") or []:
        for connectivity in nodes.get("connectivity_info") or []:
            if any(access.get("type") != "DISABLED" for access in connectivity.get("public_access") or []):
                yield "has public addresses"


def _topic(after: Attributes) -> Iterator[str]:
    yield from _needs(after, "kms_master_key_id")


def _role_policy(after: Attributes) -> Iterator[str]:
    for statement in _as_list(json.loads(after.get("policy") or "{}").get("Statement")):
        if statement.get("Effect") != "Allow":
            continue
        actions, resources = set(_as_list(statement.get("Action"))), _as_list(statement.get("Resource"))
        if any(action == "*" or action.endswith(":*") for action in actions):
            yield f"allows {', '.join(sorted(actions))}"
        if "*" in resources and not actions <= UNSCOPED:
            yield f"allows {', '.join(sorted(actions))} for everything"


def _needs(after: Attributes, name: str) -> Iterator[str]:
    if not after.get(name):
        yield f"{name} is not set: not encrypted with a key of ours"


def _as_list(value: Any) -> list[Any]:
    if value is None:
        return []
    return value if isinstance(value, list) else [value]


RULES: Final[dict[str, Rule]] = {
    "aws_cloudwatch_log_group": _log_group,
    "aws_db_instance": _database,
    "aws_default_security_group": _closed_group,
    "aws_ecr_repository": _repository,
    "aws_iam_role_policy": _role_policy,
    "aws_kms_key": _key,
    "aws_msk_cluster": _cluster,
    "aws_secretsmanager_secret": _secret,
    "aws_secretsmanager_secret_version": _secret_value,
    "aws_security_group": _security_group,
    "aws_security_group_rule": _old_rule,
    "aws_sns_topic": _topic,
    "aws_vpc_security_group_ingress_rule": _ingress,
}


def _unguarded_buckets(planned: Sequence[tuple[str, str, Attributes]]) -> list[str]:
    """Buckets beside which a guard of the same name is missing."""
    addresses = {address for address, _, _ in planned}
    guards = ("public_access_block", "server_side_encryption_configuration", "policy", "versioning")
    return [
        f"{address}: no aws_s3_bucket_{guard} beside it"
        for address, kind, _ in planned
        if kind == "aws_s3_bucket"
        for guard in guards
        if address.replace("aws_s3_bucket.", f"aws_s3_bucket_{guard}.") not in addresses
    ]
