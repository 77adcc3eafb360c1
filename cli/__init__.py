"""The command line: one command, one file for each verb."""
