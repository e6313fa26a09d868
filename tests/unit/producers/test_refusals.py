"""Every form in which a venue refuses, and anything else."""

import json
from typing import Any

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from producers.refusals import Refusal, parse_refusal, refused
from tests.unit.producers.mutate import VALUES

NOW_NS = 1_790_000_000_000_000_000
"""Mon, 21 Sep 2026 14:13:20 GMT"""


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        (
            {"error": {"code": "invalid_order", "message": "invalid order", "details": "too small"}},
            Refusal("nested", "invalid_order", "invalid order: too small"),
        ),
        ({"code": "not_found", "message": "no such market"}, Refusal("flat", "not_found", "no such market")),
        ({"error": "too many requests"}, Refusal("text", "", "too many requests")),
        (
            {"error": "post-only mode", "code": "post_only_mode", "retry_after_seconds": 79},
            Refusal("text", "post_only_mode", "post-only mode", 79.0),
        ),
        (
            {"type": "validation error", "error": "offset too large, use /markets/keyset"},
            Refusal("text", "", "offset too large, use /markets/keyset"),
        ),
        ({"error": None}, Refusal("other", "", "{'error': None}")),
        (["a"], Refusal("other", "", "['a']")),
        (3, Refusal("other", "", "3")),
    ],
)
def test_the_forms_of_an_error_body(body: Any, expected: Refusal) -> None:
    assert parse_refusal(json.dumps(body).encode()) == expected


def test_a_body_that_is_no_json_is_shown() -> None:
    assert parse_refusal(b"<html>502 Bad Gateway") == Refusal("no JSON", "", "<html>502 Bad Gateway")
    assert len(parse_refusal(b"x" * 10_000).detail) == 200


@given(st.binary(max_size=60) | VALUES.map(lambda value: json.dumps(value).encode(errors="surrogatepass")))
def test_any_body_is_understood_somehow(body: bytes) -> None:
    refusal = parse_refusal(body)
    assert refusal.form
    assert refusal.retry_after_s >= 0.0


@pytest.mark.parametrize(
    ("headers", "after_s"),
    [
        ({}, 0.0),
        ({"retry-after": "7"}, 7.0),
        ({"retry-after": "0.5"}, 0.5),
        ({"retry-after": "-1"}, 0.0),
        ({"retry-after": "soon"}, 0.0),
        ({"retry-after": ""}, 0.0),
        ({"retry-after": "Mon, 21 Sep 2026 14:13:50 GMT"}, 30.0),
        ({"retry-after": "Mon, 21 Sep 2026 14:13:50 GMT", "date": "Mon, 21 Sep 2026 14:13:45 GMT"}, 5.0),
        ({"retry-after": "Mon, 21 Sep 2026 14:00:00 GMT"}, 0.0),
        ({"retry-after": "Mon, 21 Sep 2026 14:13:50 -0000"}, 30.0),
        ({"retry-after": "9" * 400}, 0.0),
    ],
)
def test_retry_after_is_seconds_or_a_date(headers: dict[str, str], after_s: float) -> None:
    error, _ = refused("GET /a", httpx.Response(429, headers=headers), NOW_NS)
    assert error.retry_after_s == after_s


def test_the_longer_of_header_and_body_counts() -> None:
    answer = httpx.Response(503, headers={"retry-after": "2"}, json={"error": "x", "retry_after_seconds": 79})
    error, form = refused("POST /order", answer, NOW_NS)
    assert (error.retry_after_s, form, error.status, error.detail) == (79.0, "text", 503, "x")
    assert str(error) == "POST /order: HTTP 503: x"
    assert error.body == answer.content


@pytest.mark.parametrize(
    ("status", "passing", "unknown"),
    [
        (400, False, True),
        (401, False, False),
        (404, False, True),
        (425, True, False),
        (429, True, False),
        (500, True, False),
        (503, True, False),
    ],
)
def test_what_a_status_means(status: int, passing: bool, unknown: bool) -> None:
    error, _ = refused("GET /a", httpx.Response(status), NOW_NS)
    assert (error.passing, error.unknown) == (passing, unknown)
