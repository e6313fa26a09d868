"""Kalshi as a small exchange."""
