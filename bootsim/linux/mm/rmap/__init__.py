"""Reverse mapping (mm/rmap.c)."""
