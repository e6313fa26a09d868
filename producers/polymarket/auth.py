"""Polymarket request signing: market data is public (CLOB public endpoints, market channel): nothing is signed."""


class Signer:
    """Makes the headers of a request: none."""

    def headers(self, method: str, path: str) -> dict[str, str]:  # noqa: ARG002 - the form both venues share
        """Headers for `method` on `path`."""
        return {}
