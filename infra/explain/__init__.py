"""`dutchbook explain`: why one opportunity was what it was, from the very records it was decided on."""
