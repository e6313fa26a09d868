"""`python -m producers.kalshi.gateway`: Kalshi's paper gateway, in the us region only."""

import sys

from producers.paper_gateway import main

if __name__ == "__main__":
    sys.exit(main("kalshi"))
