"""MirrorMaker 2 as a service of its own: one process per target region, run in that region."""
