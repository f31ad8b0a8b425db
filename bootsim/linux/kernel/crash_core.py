"""How much memory crashkernel= asks for (kernel/crash_core.c).

    crashkernel=64M@0x70000000               a size, and where
    crashkernel=512M-2G:64M,2G-:128M@16M     a size by how much memory there is, and where

The text is the whole command line from behind "crashkernel=" on: a word ends at a space.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from bootsim.linux.kernel.printk import KERN_INFO, KERN_WARNING, printk
from bootsim.linux.lib.cmdline import memparse

if TYPE_CHECKING:
    from bootsim.linux import Kernel

_NAME = "crashkernel="
_SUFFIXES = (",high", ",low")
_ULLONG_MAX = 0xFFFFFFFFFFFFFFFF


class _Malformed(Exception):
    # the kernel says why and returns -EINVAL
    pass


def _memparse(text: str, complaint: str) -> tuple[int, str]:
    # memparse() of text that must start with a number
    size, rest = memparse(text)
    if rest == text:
        raise _Malformed(complaint)
    return size, rest


def _expect(text: str, sign: str) -> str:
    if not text.startswith(sign):
        raise _Malformed(f"crashkernel: '{sign}' expected")
    return text[1:]


def parse_crashkernel_mem(k: Kernel, cur: str, system_ram: int) -> tuple[int, int]:
    """Take the size of the first range that holds `system_ram` (bytes). Returns size and base (bytes, pa).

    Source: kernel/crash_core.c parse_crashkernel_mem()
    """
    missing = "crashkernel: Memory value expected"
    crash_size = crash_base = 0
    while True:
        start, cur = _memparse(cur, missing)
        cur, end = _expect(cur, "-"), _ULLONG_MAX
        if not cur.startswith(":"):
            end, cur = _memparse(cur, missing)
            if end <= start:
                raise _Malformed("crashkernel: end <= start")
        size, cur = _memparse(_expect(cur, ":"), "Memory value expected")
        if size >= system_ram:
            raise _Malformed("crashkernel: invalid size")
        if start <= system_ram < end:
            crash_size = size
            break
        more, cur = cur[:1] == ",", cur[1:]
        if not more:
            break
    if not crash_size:
        printk(k, KERN_INFO, "crashkernel size resulted in zero bytes")
        return 0, 0
    _, at, base = cur.partition(" ")[0].partition("@")
    if at:
        crash_base, _ = _memparse(base, "Memory value expected after '@'")
    return crash_size, crash_base


def parse_crashkernel_simple(cmdline: str) -> tuple[int, int]:
    """SIZE[@BASE]. Returns size and base (bytes, pa).

    Source: kernel/crash_core.c parse_crashkernel_simple()
    """
    size, rest = _memparse(cmdline, "crashkernel: memory value expected")
    if rest.startswith("@"):
        return size, memparse(rest[1:])[0]
    if rest and rest[0] != " ":
        raise _Malformed(f"crashkernel: unrecognized char: {rest[0]}")
    return size, 0


def get_last_crashkernel(cmdline: str) -> str | None:
    """The command line behind the last "crashkernel=" whose word does not end in ,high or ,low; None without one.

    Source: kernel/crash_core.c get_last_crashkernel()
    """
    last, p = None, cmdline.find(_NAME)
    while p >= 0:
        word = cmdline[p:].partition(" ")[0]
        if not word.endswith(_SUFFIXES):
            last = cmdline[p + len(_NAME):]
        p = cmdline.find(_NAME, p + 1)
    return last


def parse_crashkernel(k: Kernel, cmdline: str, system_ram: int) -> tuple[int, int] | None:
    """The size and base (bytes, pa; 0: anywhere) that crashkernel= asks for; None when it does not, or is malformed.

    Source: kernel/crash_core.c parse_crashkernel(), __parse_crashkernel()
    """
    text = get_last_crashkernel(cmdline)
    if text is None:
        return None
    try:
        if ":" in text.partition(" ")[0]:
            return parse_crashkernel_mem(k, text, system_ram)
        return parse_crashkernel_simple(text)
    except _Malformed as e:
        printk(k, KERN_WARNING, "{complaint}", complaint=str(e))
        return None
