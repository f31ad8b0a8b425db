"""Real boots to hold the replay against: kernels built here, run in QEMU, read by a debugger."""


class CannotRunError(Exception):
    """Something this machine lacks: the run is skipped, neither passed nor failed."""


class UsageError(Exception):
    """A matrix, option or folder that cannot be used."""


class StepFailedError(Exception):
    """A build, capture or replay that went wrong."""
