"""Every decision, pure: no Kafka, no socket, no clock, no file, no float in a price."""
