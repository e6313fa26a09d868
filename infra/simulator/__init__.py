"""Venue simulators: each speaks one venue's websocket and REST protocol and is driven by a tape."""
