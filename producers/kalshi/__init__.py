"""Kalshi: the us region's venue."""
