"""The console: alerts in front of people, their decisions recorded. Server-made pages and `/api/v1`."""
