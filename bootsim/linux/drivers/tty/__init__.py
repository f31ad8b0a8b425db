"""Replay of drivers/tty."""
