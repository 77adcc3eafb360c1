"""Read-only questions over SSH: login and keys are ours, the terminal is netmiko's, and what may be typed is a closed list."""
