"""Attacks on the portal as it runs for real: two processes, PostgreSQL, Redis. `make attack`."""
