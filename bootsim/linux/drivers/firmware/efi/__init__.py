"""Replay of drivers/firmware/efi."""
