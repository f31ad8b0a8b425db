"""The boards of a kernel tree: compiled, held against dtc, and booted in the replay."""


class CannotRunError(Exception):
    """Something this machine lacks: the run, or one column of it, is skipped, neither passed nor failed."""
