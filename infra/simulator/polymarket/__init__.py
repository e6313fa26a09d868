"""Polymarket as a small exchange."""
