"""Replay of arch/arm/xen."""
