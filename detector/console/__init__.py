"""The console: alerts in front of people, their decisions recorded; pages and `/api/v1`."""
