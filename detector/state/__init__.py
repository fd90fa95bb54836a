"""What is remembered of each actor, as plain arrays."""
