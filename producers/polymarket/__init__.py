"""Polymarket (international): the eu region's venue."""
