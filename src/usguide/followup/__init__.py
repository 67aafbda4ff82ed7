"""Follow-up: what changed from one examination to the next, and what cannot be said to have."""
