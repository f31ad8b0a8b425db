"""Testing memory early in the boot (mm/memtest.c)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bootsim.errors import InputError
from bootsim.linux.include.linux.errno import EINVAL
from bootsim.linux.kernel.printk import KERN_INFO, printk
from bootsim.linux.lib.cmdline import EarlyParam
from bootsim.linux.lib.kstrtox import kstrtoull
from bootsim.linux.mm.memblock import for_each_free_mem_range

if TYPE_CHECKING:
    from bootsim.linux import Kernel

MOST_TESTS = 1000
PATTERNS = (
    0, 0xFFFFFFFFFFFFFFFF, 0x5555555555555555, 0xAAAAAAAAAAAAAAAA, 0x1111111111111111, 0x2222222222222222,
    0x4444444444444444, 0x8888888888888888, 0x3333333333333333, 0x6666666666666666, 0x9999999999999999,
    0xCCCCCCCCCCCCCCCC, 0x7777777777777777, 0xBBBBBBBBBBBBBBBB, 0xDDDDDDDDDDDDDDDD, 0xEEEEEEEEEEEEEEEE,
    0x7A6C7258554E494C,
)  # fmt: skip


def parse_memtest(k: Kernel, arg: str | None) -> int:
    """memtest[=N]: write and read N patterns. Returns 0 or a negative errno.

    Source: mm/memtest.c parse_memtest()
    """
    tests = len(PATTERNS) if arg is None else kstrtoull(arg, 0, 32)
    if tests is None:
        return -EINVAL
    k.options["memtest"] = tests
    return 0


EARLY_PARAMS = (EarlyParam("memtest", parse_memtest, ("MEMTEST",)),)


def do_one_pass(k: Kernel, pattern: int, start: int, end: int) -> None:
    """Test all free memory within [start, end) (pa) with one pattern.

    Source: mm/memtest.c do_one_pass(), memtest()
    Differs: the memory is taken to be good, and is not written.
    """
    shown = int.from_bytes(pattern.to_bytes(8, "little"), "big")
    for this_start, this_end in for_each_free_mem_range(k.mm.memblock):
        first, last = (min(max(pa, start), end) for pa in (this_start, this_end))
        if first < last:
            printk(k, KERN_INFO, "  {start:#010x} - {end:#010x} pattern {pattern:016x}", start=first, end=last,
                   pattern=shown)


def early_memtest(k: Kernel, start: int, end: int) -> None:
    """Test the free memory within [start, end) (pa) as often as memtest= says.

    Source: mm/memtest.c early_memtest()
    """
    tests = k.options.get("memtest", 0)
    if tests > MOST_TESTS:
        raise InputError(f"cmdline: memtest={tests}: expected at most {MOST_TESTS}; a kernel would test for days")
    if not tests:
        return
    printk(k, KERN_INFO, "early_memtest: # of tests: {tests}", tests=tests)
    for i in range(tests - 1, -1, -1):
        do_one_pass(k, PATTERNS[i % len(PATTERNS)], start, end)
