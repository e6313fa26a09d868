"""`python -m producers.polymarket.gateway`: Polymarket's paper gateway, in the eu region only (a replay's: in us)."""

import sys

from producers.paper_gateway import main

if __name__ == "__main__":
    sys.exit(main("polymarket"))
