"""Records as the text of dmesg, and as the console showed them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bootsim.escape import printable
from bootsim.linux.kernel.printk import suppress_message_printing

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from bootsim.linux import Kernel
    from bootsim.linux.kernel.printk import Record

# Time does not pass in a replay: before the clock runs, the kernel stamps every message with zero.
STAMP = "[    0.000000] "

# The styles of `dmesg --color`, by log level; levels without an entry are plain.
_TIME, _SUBSYSTEM, _OFF = "\x1b[32m", "\x1b[33m", "\x1b[0m"
_LEVELS = {1: "\x1b[7m\x1b[31m", 2: "\x1b[1m\x1b[31m", 3: "\x1b[31m", 4: "\x1b[1m"}


def lines(records: Iterable[Record], *, steps: bool = True, color: bool = False) -> Iterator[str]:
    """Yield the stamped lines of the log, without newlines; each line of a longer message carries the stamp.

    `steps` False leaves the kernel's own messages alone.
    """
    for record in records:
        if steps or record.kernel:
            for raw in record.text.split("\n"):
                line = printable(raw)
                yield _colored(line, record.level) if color else STAMP + line


def _colored(line: str, level: int) -> str:
    # as util-linux does: the stamp, then all up to the first colon before a blank, then the rest in its level's style
    subsystem, rest = _split_subsystem(line)
    style = _LEVELS.get(level)
    out = f"{_TIME}{STAMP}{_OFF}"
    if subsystem:
        out += f"{_SUBSYSTEM}{subsystem}{_OFF}"
    return out + (f"{style}{rest}{_OFF}" if style else rest)


def _split_subsystem(line: str) -> tuple[str, str]:
    colon = line.find(":")
    while colon >= 0:
        if line[colon + 1 : colon + 2] in (" ", "\t") and colon + 2 < len(line):
            return line[: colon + 2], line[colon + 2 :]
        colon = line.find(":", colon + 1)
    return "", line


def console(k: Kernel) -> str:
    """Return what the console shows of the kernel's own messages.

    Stamped where CONFIG_PRINTK_TIME is set; without it on processors before ARMv7 alone, as dmesg(1) stamps them: the
    logs of those boards that there are were read out of the kernel's memory.
    """
    shown = (record for record in k.log.records if not suppress_message_printing(k, record.level))
    texts = (record.text.split("\n") for record in shown if record.kernel)
    older = hasattr(k, "procinfo") and k.procinfo.arch_name != "armv7"  # without: the kernel has not said a word
    stamp = STAMP if k.build.config.PRINTK_TIME or older else ""
    return "".join(f"{stamp}{line}\n" for text in texts for line in text)
