"""bootsim's own errors: what a user's input got wrong, and a panic of the replayed kernel; and what commands exit with.

| code | meaning |
|---|---|
| 0 | done; of commands that answer: yes, the same |
| 1 | an answer: no, different |
| 2 | bad input, or a file that cannot be read or written (InputError) |
| 3 | the replayed kernel panicked (KernelPanic) |
| 70 | a bug in bootsim |
| 130 | interrupted |
"""

from __future__ import annotations

from bootsim.escape import printable

EXIT_DIFFERS, EXIT_BAD_INPUT, EXIT_PANICKED, EXIT_BUG, EXIT_INTERRUPTED = 1, 2, 3, 70, 130


class BootsimError(Exception):
    """Anything bootsim reports instead of a traceback. The text says where, what was found, what was expected."""

    exit_code = EXIT_BAD_INPUT

    def __str__(self) -> str:
        return printable(super().__str__())


class InputError(BootsimError):
    """A device tree, build description, option or file that cannot be used. The command line exits with 2."""


class FaultError(BootsimError):
    """A read of simulated memory at an address that is not mapped, or where there is no RAM; `address` is where."""

    def __init__(self, message: str, address: int) -> None:
        super().__init__(f"{message}: {address:#010x}")
        self.address = address


class KernelPanic(BootsimError):
    """The replayed kernel stopped: it panicked, hit a BUG(), or could not have run at all. Exits with 3.

    `reason` is the kernel's own text (without the "Kernel panic - not syncing: " prefix), or None when the real
    kernel dies without a word. `cause` names the input that led to it: file, node, property or option.
    """

    exit_code = EXIT_PANICKED

    def __init__(self, reason: str | None, cause: str | None = None) -> None:
        super().__init__(reason or cause or "the kernel stopped")
        self.reason = reason
        self.cause = cause
