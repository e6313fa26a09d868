from schemas.identity import execution_id, opportunity_id, order_id, ticket_id

A = ("kalshi", "A", 1, 2)
B = ("polymarket", "B", 3, 4)
RECORDED = (
    "e38a7e646493bbcd0dd298f0847f02ba",
    "8c30c8a404136ed476c2d4c853348ca1",
    "05310d7b99e5b4739fa343380411a430",
    "bdd74b245c1ad43859d421f9c95419e0",
)


def test_recorded_values_never_change() -> None:
    """An id that changes with a release would trade a basket twice after an upgrade."""
    opportunity = opportunity_id("g", "kalshi/A/yes|polymarket/B/no", [A, B])  # type: ignore[list-item]
    ticket = ticket_id(opportunity)
    order = order_id(ticket, 0, 0)
    assert (opportunity, ticket, order, execution_id(order, "filled")) == RECORDED


def test_every_part_counts() -> None:
    ids = {
        opportunity_id("g", "b", [("kalshi", "A", 1, 2)]),
        opportunity_id("h", "b", [("kalshi", "A", 1, 2)]),
        opportunity_id("g", "c", [("kalshi", "A", 1, 2)]),
        opportunity_id("g", "b", [("polymarket", "A", 1, 2)]),
        opportunity_id("g", "b", [("kalshi", "B", 1, 2)]),
        opportunity_id("g", "b", [("kalshi", "A", 2, 2)]),
        opportunity_id("g", "b", [("kalshi", "A", 1, 3)]),
        opportunity_id("g", "b", [("kalshi", "A", 1, 2), ("kalshi", "A", 1, 2)]),
        order_id("t", 0, 0),
        order_id("t", 1, 0),
        order_id("t", 0, 1),
        order_id("u", 0, 0),
        ticket_id("t"),
        execution_id("t", "filled"),
        execution_id("t", "rejected"),
    }
    assert len(ids) == 15


def test_parts_cannot_run_into_each_other() -> None:
    assert opportunity_id("ab", "c", []) != opportunity_id("a", "bc", [])
    assert opportunity_id("a1:b", "c", []) != opportunity_id("a", "b1:c", [])
    assert order_id("t", 1, 11) != order_id("t", 11, 1)
    assert opportunity_id("g", "b", [("kalshi", "A", 1, 12)]) != opportunity_id("g", "b", [("kalshi", "A", 11, 2)])


def test_length() -> None:
    assert len(ticket_id("é")) == 32
