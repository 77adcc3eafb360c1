"""A fleet to try the program on: devices that speak the real protocols on loopback. Used by demo, tests and bench only."""
