"""Asking one device one thing. Never decides what an answer means for the site."""
