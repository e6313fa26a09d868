"""One machine: fetching the parts, starting them, watching them, stopping them."""
