"""Sinks: what is read from Kafka becomes durable in a store, and only then counts as read."""
