"""state/compare.py: which log lines count."""

from __future__ import annotations

from bootsim.state.compare import log_lines

REPORT = """\
Booting Linux on physical CPU 0x0
------------[ cut here ]------------
WARNING: CPU: 0 PID: 0 at arch/arm/kernel/devtree.c:148 arm_dt_init_cpu_maps+0x114/0x1ac
DT /cpu 2 nodes greater than max cores 1, capping them
Modules linked in:
CPU: 0 PID: 0 Comm: swapper Not tainted 5.10.223 #1
Hardware name: ARM-Versatile Express
[<c010c268>] (unwind_backtrace) from [<c010adf4>] (show_stack+0x10/0x14)
---[ end trace 0000000000000000 ]---
CPU: All CPU(s) started in SVC mode.
Memory: 1K/2K available
driver chatter
SLUB: HWalign=64
"""


def test_of_a_warning_only_its_message_counts():
    assert log_lines(REPORT) == [
        "Booting Linux on physical CPU 0x0",
        "DT /cpu 2 nodes greater than max cores 1, capping them",
        "CPU: All CPU(s) started in SVC mode.",
        "Memory: 1K/2K available",
        "SLUB: HWalign=64",
    ]


def test_stamps_callers_and_lost_lines_do_not_count():
    text = "** 30 printk messages dropped **\n[    0.000000] memblock_reserve: [0x1-0x2] f+0x4/0x8\n<6>[    0.1]  x\n"
    assert log_lines(text) == ["memblock_reserve: [0x1-0x2]", "x"]
