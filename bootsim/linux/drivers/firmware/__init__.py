"""Replay of drivers/firmware."""
