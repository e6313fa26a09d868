"""Measured claims about this machine, each reproducible by one command: `python -m bench`."""
