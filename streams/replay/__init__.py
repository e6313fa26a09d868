"""Recorded topics run again through the same code: reading the journal, verifying it, and replaying it into a run."""
