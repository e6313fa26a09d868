from producers.polymarket.auth import Signer


def test_market_data_is_public() -> None:
    assert Signer().headers("GET", "/books") == {}
