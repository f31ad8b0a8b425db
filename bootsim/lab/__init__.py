"""A booted machine in use: recordings of a real kernel's traffic, replayed."""
