"""Errors in Polymarket's words.

Sources: the pages "Error Codes" (bodies of 4xx and 503) and "Matching Engine Restarts" (425, post-only mode); the body
of 425 is documented nowhere. Gateways in front of the API answer some server errors themselves, in HTML.
"""

from infra.simulator.recorded import Reply

RESTART_S = 2
"""What a 425 asks to wait: the pages advise one to two seconds at first."""

CANCEL_ONLY = "Trading is currently cancel-only. New orders are not accepted, but cancels are allowed."
DISABLED = "Trading is currently disabled. Check polymarket.com for updates"
POST_ONLY = "post-only mode: only post-only orders and cancels are allowed"


def problem(status: int, message: str) -> Reply:
    """An error in the CLOB's form."""
    return Reply(status, {"error": message})


def invalid(message: str) -> Reply:
    """A request that Gamma does not take, in its form."""
    return Reply(422, {"type": "validation error", "error": message})


def not_found(message: str) -> Reply:
    """What Gamma does not know, in its form."""
    return Reply(404, {"type": "not found error", "error": message})


def restarting() -> Reply:
    """425: the matching engine restarts."""
    body = {"error": "matching engine is restarting"}
    return Reply(425, body, {"Retry-After": str(RESTART_S)})


def cancel_only() -> Reply:
    """503: orders are refused, cancels are not."""
    return problem(503, CANCEL_ONLY)


def disabled() -> Reply:
    """503: neither orders nor cancels."""
    return problem(503, DISABLED)


def post_only(wait_s: int) -> Reply:
    """503 in the minutes after a restart: for so many seconds yet."""
    body = {"error": POST_ONLY, "code": "post_only_mode", "retry_after_seconds": wait_s}
    return Reply(503, body, {"Retry-After": str(wait_s)})


def too_many(now_s: int) -> Reply:
    """429, with what the page on trading limits says of its headers."""
    headers = {
        "Retry-After": "1",
        "Poly-RateLimit-Remaining": "0",
        "Poly-RateLimit-Reset": str(now_s + 1),
        "Poly-RateLimit-Tier": "standard",
    }
    return Reply(429, {"error": "Too Many Requests"}, headers)


def server_error(status: int) -> Reply:
    """5xx: the API's own in JSON, a gateway's in HTML."""
    if status in (502, 504):
        return Reply(
            status, f"<html><head><title>{status}</title></head></html>".encode(), {"Content-Type": "text/html"}
        )
    return problem(status, DISABLED if status == 503 else "Internal server error")
