"""`python -m producers.polymarket`: Polymarket's books into the eu cluster."""

import sys

from producers.polymarket.feed import make_feed
from producers.process import main

if __name__ == "__main__":
    sys.exit(main("polymarket", make_feed))
