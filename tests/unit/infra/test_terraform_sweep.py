"""The sweep over a plan: each thing that must not be is found, and what may be is left alone."""

import json
from typing import Any

import pytest

from infra.terraform.sweep import sweep

KEY = "arn:aws:kms:us-east-1:123456789012:key/1"


def change(kind: str, after: dict[str, Any], address: str = "") -> dict[str, Any]:
    return {"address": address or f"module.m.{kind}.this", "type": kind, "change": {"after": after}}


def policy(*statements: dict[str, Any]) -> dict[str, Any]:
    return {"policy": json.dumps({"Version": "2012-10-17", "Statement": list(statements)})}


GOOD: list[tuple[str, dict[str, Any]]] = [
    ("aws_vpc_security_group_ingress_rule", {"cidr_ipv4": "10.31.80.0/26"}),
    ("aws_vpc_security_group_ingress_rule", {"cidr_ipv4": None, "referenced_security_group_id": "sg-1"}),
    ("aws_vpc_security_group_egress_rule", {"cidr_ipv4": "0.0.0.0/0"}),
    ("aws_security_group", {"ingress": []}),
    ("aws_default_security_group", {"ingress": [], "egress": []}),
    ("aws_ecs_service", {"network_configuration": [{"assign_public_ip": False}]}),
    ("aws_subnet", {"map_public_ip_on_launch": False}),
    ("aws_cloudwatch_log_group", {"kms_key_id": KEY, "retention_in_days": 14}),
    ("aws_kms_key", {"enable_key_rotation": True, "multi_region": False}),
    ("aws_sns_topic", {"kms_master_key_id": KEY}),
    ("aws_db_instance", {"storage_encrypted": True, "manage_master_user_password": True, "publicly_accessible": False}),
    ("aws_secretsmanager_secret", {"kms_key_id": KEY, "replica": []}),
    (
        "aws_ecr_repository",
        {
            "image_tag_mutability": "IMMUTABLE",
            "image_scanning_configuration": [{"scan_on_push": True}],
            "encryption_configuration": [{"encryption_type": "KMS"}],
        },
    ),
    (
        "aws_msk_cluster",
        {
            "encryption_info": [
                {
                    "encryption_at_rest_kms_key_arn": KEY,
                    "encryption_in_transit": [{"client_broker": "TLS", "in_cluster": True}],
                }
            ],
            "broker_node_group_info": [{"connectivity_info": [{"public_access": [{"type": "DISABLED"}]}]}],
        },
    ),
    ("aws_iam_role_policy", policy({"Effect": "Allow", "Action": ["ecr:GetAuthorizationToken"], "Resource": ["*"]})),
    ("aws_iam_role_policy", policy({"Effect": "Deny", "Action": "*", "Resource": "*"})),
    (
        "aws_iam_role_policy",
        policy({"Effect": "Allow", "Action": "ecs:UpdateService", "Resource": ["arn:aws:ecs:x/*"]}),
    ),
]


@pytest.mark.parametrize(("kind", "after"), GOOD)
def test_what_may_be_is_left_alone(kind: str, after: dict[str, Any]) -> None:
    assert sweep([change(kind, after)]) == []


TRANSIT = [{"client_broker": "TLS", "in_cluster": True}]
BAD: list[tuple[str, dict[str, Any], str]] = [
    ("aws_vpc_security_group_ingress_rule", {"cidr_ipv4": "0.0.0.0/0"}, "admits 0.0.0.0/0"),
    ("aws_vpc_security_group_ingress_rule", {"cidr_ipv4": "192.0.2.7/32"}, "admits 192.0.2.7/32"),
    ("aws_vpc_security_group_ingress_rule", {"cidr_ipv6": "::/0"}, "admits ::/0"),
    ("aws_vpc_security_group_ingress_rule", {"prefix_list_id": "pl-1"}, "admits the prefix list pl-1"),
    ("aws_security_group", {"ingress": [{"from_port": 22}]}, "has rules of its own"),
    ("aws_security_group_rule", {}, "not seen by the tests"),
    ("aws_default_security_group", {"egress": [{"from_port": 0}]}, "not closed"),
    ("aws_lb", {}, "a way in from outside"),
    ("aws_ecs_service", {"network_configuration": [{"assign_public_ip": True}]}, "assign_public_ip is set"),
    ("aws_subnet", {"map_public_ip_on_launch": True}, "map_public_ip_on_launch is set"),
    ("aws_timestreaminfluxdb_db_instance", {"publicly_accessible": True}, "publicly_accessible is set"),
    ("aws_cloudwatch_log_group", {"retention_in_days": 14}, "kms_key_id is not set"),
    ("aws_cloudwatch_log_group", {"kms_key_id": KEY, "retention_in_days": 0}, "kept for ever"),
    ("aws_kms_key", {"enable_key_rotation": False}, "never rotated"),
    ("aws_kms_key", {"enable_key_rotation": True, "multi_region": True}, "other regions"),
    ("aws_sns_topic", {}, "kms_master_key_id is not set"),
    ("aws_db_instance", {"manage_master_user_password": True}, "is not encrypted"),
    ("aws_db_instance", {"storage_encrypted": True, "password": "x"}, "password would stand in the state"),
    ("aws_secretsmanager_secret", {}, "kms_key_id is not set"),
    ("aws_secretsmanager_secret", {"kms_key_id": KEY, "replica": [{"region": "eu-west-1"}]}, "copies in other regions"),
    ("aws_secretsmanager_secret_version", {}, "would stand in the state"),
    ("aws_ecr_repository", {"image_tag_mutability": "MUTABLE"}, "tags can be moved"),
    ("aws_ecr_repository", {"image_tag_mutability": "IMMUTABLE"}, "images are not scanned"),
    ("aws_ecr_repository", {"encryption_configuration": [{"encryption_type": "AES256"}]}, "not encrypted with a key"),
    ("aws_msk_cluster", {}, "speaks without TLS"),
    ("aws_msk_cluster", {"encryption_info": [{"encryption_in_transit": TRANSIT}]}, "at_rest_kms_key_arn is not set"),
    (
        "aws_msk_cluster",
        {"encryption_info": [{"encryption_in_transit": [{"client_broker": "TLS_PLAINTEXT", "in_cluster": True}]}]},
        "speaks without TLS",
    ),
    (
        "aws_msk_cluster",
        {"broker_node_group_info": [{"connectivity_info": [{"public_access": [{"type": "SERVICE_PROVIDED_EIPS"}]}]}]},
        "has public addresses",
    ),
    (
        "aws_iam_role_policy",
        policy({"Effect": "Allow", "Action": "kafka-cluster:*", "Resource": "x"}),
        "allows kafka-cl",
    ),
    ("aws_iam_role_policy", policy({"Effect": "Allow", "Action": "*", "Resource": "x"}), "allows *"),
    (
        "aws_iam_role_policy",
        policy({"Effect": "Allow", "Action": "secretsmanager:GetSecretValue", "Resource": "*"}),
        "allows secretsmanager:GetSecretValue for everything",
    ),
]


@pytest.mark.parametrize(("kind", "after", "said"), BAD)
def test_what_must_not_be_is_found(kind: str, after: dict[str, Any], said: str) -> None:
    found = sweep([change(kind, after)])
    assert [line for line in found if said in line], found
    assert all(line.startswith(f"module.m.{kind}.this: ") for line in found)


def test_a_bucket_needs_its_guards_beside_it() -> None:
    guards = ("public_access_block", "server_side_encryption_configuration", "policy", "versioning")
    whole = [change("aws_s3_bucket", {}, "module.a.aws_s3_bucket.lake")]
    whole += [change(f"aws_s3_bucket_{guard}", {}, f"module.a.aws_s3_bucket_{guard}.lake") for guard in guards]
    assert sweep(whole) == []
    for number, guard in enumerate(guards, start=1):
        found = sweep(whole[:number] + whole[number + 1 :])
        assert found == [f"module.a.aws_s3_bucket.lake: no aws_s3_bucket_{guard} beside it"]
