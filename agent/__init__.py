"""Asking on time and losing nothing: schedule, reachability, spool, sender. Never judges a value."""
