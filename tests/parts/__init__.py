"""Real parts for tests: started here, on loopback, and stopped by their own handle."""
