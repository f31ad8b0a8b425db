"""Replay of drivers/tty/serial."""
