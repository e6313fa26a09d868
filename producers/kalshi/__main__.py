"""`python -m producers.kalshi`: Kalshi's books into the us cluster."""

import sys

from producers.kalshi.feed import make_feed
from producers.process import main

if __name__ == "__main__":
    sys.exit(main("kalshi", make_feed))
