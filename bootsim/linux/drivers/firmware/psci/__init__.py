"""Replay of drivers/firmware/psci."""
