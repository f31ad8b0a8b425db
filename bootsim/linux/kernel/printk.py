"""The kernel log: records instead of printing (kernel/printk/printk.c)."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any, NamedTuple

from bootsim.causes import cause
from bootsim.escape import escaped
from bootsim.linux.include.linux.err import Err
from bootsim.linux.lib.cmdline import CoreParam, EarlyParam, SetupParam, memparse
from bootsim.linux.mm.memblock import memblock_alloc, memblock_free
from bootsim.owners import Purpose

if TYPE_CHECKING:
    from bootsim.linux import Kernel

KERN_EMERG, KERN_ALERT, KERN_CRIT, KERN_ERR, KERN_WARNING, KERN_NOTICE, KERN_INFO, KERN_DEBUG = range(8)

LINE_MAX = 989  # LOG_LINE_MAX, less the two bytes that hold the level and the final NUL


class Record(NamedTuple):
    """One message of the log: the kernel's own words, or one of bootsim's step records.

    `kernel` is False for bootsim's own lines (their text starts with "bootsim: "). `fields` holds the numbers the text
    was made from, as integers.
    """

    seq: int
    level: int
    stage: str
    func: str
    text: str
    kernel: bool
    fields: dict[str, Any]

    def __deepcopy__(self, memo: dict[int, object]) -> Record:
        return self

    def tells_cause(self) -> bool:
        """Whether this is bootsim's own line on the cause of what the kernel complains of, or warns in its place."""
        return not self.kernel and (self.level <= KERN_WARNING or self.text.startswith("bootsim: cause:"))


def printk(k: Kernel, level: int, template: str, /, *, func: str | None = None, **fields: Any) -> None:
    """Log one kernel message: `template` is a str.format template over `fields`.

    `func` is the C function that speaks; by default the name of the Python function that calls.
    Source: kernel/printk/printk.c printk()
    """
    _emit(k, level, template, func or sys._getframe(1).f_code.co_name, True, fields)


def step(k: Kernel, template: str, /, *, func: str | None = None, level: int = KERN_INFO, **fields: Any) -> None:
    """Log one of bootsim's own records, prefixed `bootsim: `, for a step on which the kernel is silent.

    Source: none, the kernel has no such message
    """
    for name, value in fields.items():
        if isinstance(value, str):
            fields[name] = escaped(value)
    _emit(k, level, "bootsim: " + template, func or sys._getframe(1).f_code.co_name, False, fields)


def _emit(k: Kernel, level: int, template: str, func: str, kernel: bool, fields: dict[str, Any]) -> None:
    text = template.format(**fields) if fields else template
    if kernel and len(text) > LINE_MAX:
        text = text[:LINE_MAX - 16 * k.build.config.PRINTK_CALLER]
    k.log.logger.msg(text, level=level, stage=k.stage, func=func, kernel=kernel, fields=fields)


class Console:
    """struct console of a boot console: what it is called in the log."""

    def __init__(self, name: str, index: int = 0) -> None:
        self.name = name
        self.index = index
        self.enabled = False


def register_console(k: Kernel, con: Console) -> None:
    """Start writing the log, from its beginning, to the boot console `con`.

    Source: kernel/printk/printk.c register_console()
    Differs: consoles of drivers, which come after memory is set up, are not replayed; nor is a warning's stack. The
        line of the C file is that of 5.10.223.
    """
    from bootsim.linux.kernel.panic import warn

    if con.enabled:
        warn(k, "kernel/printk/printk.c:2809", f"console '{con.name}{con.index}' already registered",
             func="register_console")
        return
    con.enabled = True
    printk(k, KERN_INFO, "printk: bootconsole [{name}{index}] enabled", name=con.name, index=con.index)


# ---------------------------------------------------------------- the log buffer

LOG_BUF_LEN_MAX = 1 << 31
PRB_AVGBITS = 5
LOG_ALIGN = 4


def log_buf_len_update(k: Kernel, size: int) -> None:
    """Ask for a log buffer of `size` bytes, rounded up to a power of two, if that is more than there is.

    Source: kernel/printk/printk.c log_buf_len_update()
    """
    if size > LOG_BUF_LEN_MAX:
        size = LOG_BUF_LEN_MAX
        printk(k, KERN_ERR, "printk: log_buf over 2G is not supported.")
        step(k, "cause: cmdline: log_buf_len= is cut to 2 GiB")
    if size:
        size = 1 << (size - 1).bit_length()
    if size > 1 << k.build.config.LOG_BUF_SHIFT:
        k.log.new_log_buf_len = size


def log_buf_len_setup(k: Kernel, arg: str | None) -> int:
    """log_buf_len=SIZE. Returns 0 or a negative errno.

    Source: kernel/printk/printk.c log_buf_len_setup()
    """
    if arg is None:
        return -22
    log_buf_len_update(k, memparse(arg)[0])
    return 0


def suppress_message_printing(k: Kernel, level: int) -> bool:
    """Whether the console leaves out a message of this level, which dmesg shows.

    Source: kernel/printk/printk.c suppress_message_printing()
    """
    return level >= k.log.console_loglevel and not k.log.ignore_loglevel


def ignore_loglevel_setup(k: Kernel, _arg: str | None = None) -> int:
    """ignore_loglevel: the console shows every message.

    Source: kernel/printk/printk.c ignore_loglevel_setup()
    """
    k.log.ignore_loglevel = True
    printk(k, KERN_INFO, "printk: debug: ignoring loglevel setting.")
    return 0


def log_buf_add_cpu(k: Kernel) -> None:
    """Ask for a larger buffer when the possible CPUs beyond the first would fill more than half of it.

    Source: kernel/printk/printk.c log_buf_add_cpu()
    """
    config = k.build.config
    if not config.SMP or k.num_possible_cpus == 1:
        return
    per_cpu, base = 1 << config.LOG_CPU_MAX_BUF_SHIFT, 1 << config.LOG_BUF_SHIFT
    extra = (k.num_possible_cpus - 1) * per_cpu
    if extra <= base // 2:
        return
    printk(k, KERN_INFO, "printk: log_buf_len individual max cpu contribution: {bytes} bytes", bytes=per_cpu)
    printk(k, KERN_INFO, "printk: log_buf_len total cpu_extra contributions: {bytes} bytes", bytes=extra)
    printk(k, KERN_INFO, "printk: log_buf_len min size: {bytes} bytes", bytes=base)
    log_buf_len_update(k, extra + base)


def _block_bytes(text: str) -> int:
    # to_blk_size(): a record's text behind a 4-byte id, whole words; a record without text takes no block
    return (len(text.encode(errors="surrogateescape")) + 4 + 3) & ~3 if text else 0


def _kept(texts: list[str], shift: int) -> tuple[list[int], int]:
    # what a data ring of 2**shift bytes still holds: (block sizes, how many of the oldest records were dropped)
    size, head = 1 << shift, 0
    ring: list[tuple[int, int]] = []
    dropped = 0
    for text in texts:
        block = _block_bytes(text)
        begin, head = head, head + block
        if begin >> shift != head >> shift:  # a block that would wrap lies at the start of the next round
            head = (head & -size) + block
        ring.append((begin, block))
        while ring[dropped][0] < head - size or len(ring) - dropped > 1 << (shift - PRB_AVGBITS):
            dropped += 1
    return [block for _, block in ring[dropped:]], dropped


def setup_log_buf(k: Kernel) -> None:
    """Move the log into a larger buffer when the command line or the CPUs ask for one.

    Source: kernel/printk/printk.c setup_log_buf()
    Differs: memblock=debug lines lack the offsets of the compiled code, so with them the free space is an estimate.
    """
    asked_by, root = "cmdline: log_buf_len=", "cmdline:log_buf_len"
    if not k.log.new_log_buf_len:
        asked_by, root = "CONFIG_LOG_CPU_MAX_BUF_SHIFT for each CPU", "CONFIG_LOG_CPU_MAX_BUF_SHIFT"
        log_buf_add_cpu(k)
    length = k.log.new_log_buf_len
    if not length:
        return
    mb, sizeof = k.mm.memblock, k.build.sizeof
    descs = length >> PRB_AVGBITS
    parts = (("text", length), ("desc", descs * sizeof.prb_desc), ("info", descs * sizeof.printk_info))
    taken: list[tuple[int, int]] = []
    for what, size in parts:
        pa = memblock_alloc(mb, size, LOG_ALIGN, "setup_log_buf", Purpose("log", f"log buffer: {what}", root))
        if isinstance(pa, Err):
            printk(k, KERN_ERR, "printk: log_buf_len: {bytes} {what} bytes not available", bytes=size, what=what)
            step(k, "cause: {asked_by}: {why}", asked_by=asked_by, why=cause(k, pa.why))
            for old_pa, old_size in reversed(taken):
                memblock_free(mb, old_pa, old_size, "setup_log_buf", Purpose("log", "log buffer", root))
            return
        taken.append((pa, size))
    shift = k.build.config.LOG_BUF_SHIFT
    blocks, _ = _kept([r.text for r in k.log.records if r.kernel], shift)
    free = ((1 << shift) - sum(blocks)) & 0xFFFFFFFF
    k.log.log_buf_len, k.log.new_log_buf_len = length, 0
    k.facts.add("log_buf_len", length, "bytes", "power of two that holds the buffer and every further CPU's share",
                ("CONFIG_LOG_BUF_SHIFT", "CONFIG_LOG_CPU_MAX_BUF_SHIFT", "nr_cpu_ids", "cmdline:log_buf_len"),
                "kernel/printk/printk.c setup_log_buf()")
    printk(k, KERN_INFO, "printk: log_buf_len: {bytes} bytes", bytes=length)
    printk(k, KERN_INFO, "printk: early log buf free: {free}({percent}%)", free=free,
           percent=((free * 100) & 0xFFFFFFFF) // (1 << shift))


def keep_bootcon_setup(k: Kernel, _arg: str | None = None) -> int:
    """keep_bootcon: boot consoles stay when a real one comes. Returns 0.

    Source: kernel/printk/printk.c keep_bootcon_setup()
    """
    printk(k, KERN_INFO, "printk: debug: skip boot console de-registration.")
    return 0


def control_devkmsg(k: Kernel, text: str) -> bool:
    """printk.devkmsg=on|off|ratelimit: who may write to /dev/kmsg.

    Source: kernel/printk/printk.c control_devkmsg()
    """
    if not text.startswith(("on", "off", "ratelimit")):
        printk(k, KERN_WARNING, "printk: printk.devkmsg: bad option string '{text}'", text=text)
    return True


def _set_ignore_loglevel(k: Kernel, on: bool) -> None:
    k.log.ignore_loglevel = on


EARLY_PARAMS = (
    EarlyParam("keep_bootcon", keep_bootcon_setup, ("PRINTK",)),
    EarlyParam("ignore_loglevel", ignore_loglevel_setup, ("PRINTK",)),
    EarlyParam("log_buf_len", log_buf_len_setup, ("PRINTK",)),
)
SETUP_PARAMS = (SetupParam("printk.devkmsg=", control_devkmsg, ("PRINTK",)),)
CORE_PARAMS = (CoreParam("printk.ignore_loglevel", "bool", _set_ignore_loglevel),)
