"""Tests of the consumer on a real broker, and on a simulated one for thousands of schedules."""
