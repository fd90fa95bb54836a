"""Kafka: what is read, what is written, and what is checked before either."""
