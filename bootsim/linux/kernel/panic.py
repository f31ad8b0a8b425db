"""The last words of a dying kernel (kernel/panic.c)."""

from __future__ import annotations

from typing import TYPE_CHECKING, NoReturn

from bootsim.errors import KernelPanic
from bootsim.linux.include.linux.errno import EINVAL
from bootsim.linux.kernel.printk import KERN_EMERG, KERN_INFO, KERN_WARNING, printk, step
from bootsim.linux.lib.cmdline import CoreParam, EarlyParam
from bootsim.linux.lib.kstrtox import kstrtoull

if TYPE_CHECKING:
    from bootsim.linux import Kernel


TAINT_FLAGS_MAX = (1 << 18) - 1
TAINT_BAD_PAGE = 5
TAINT_DIE = 7
TAINT_WARN = 9
# What a taint is written as, by its number; the first as G while it is not there, the others as a blank.
_TAINT_LETTERS = "PFSRMBUDAWCIOELKXT"


def add_taint(k: Kernel, flag: int) -> None:
    """Remember something that makes what the kernel says later less certain. After all but warnings, locks are not
    checked any more, whether or not the build checks them.

    Raises KernelPanic for a taint of panic_on_taint=.
    Source: kernel/panic.c add_taint(), lib/debug_locks.c __debug_locks_off()
    """
    if flag != TAINT_WARN and k.debug_locks:
        k.debug_locks = False
        printk(k, KERN_WARNING, "Disabling lock debugging due to kernel taint", func="add_taint")
    k.tainted_mask |= 1 << flag
    if k.tainted_mask & k.options.get("panic_on_taint", 0):
        k.options["panic_on_taint"] = 0
        panic(k, "panic_on_taint set ...", f"cmdline: panic_on_taint names the taint {_TAINT_LETTERS[flag]}, which "
              "came with what is told above")


def print_tainted(k: Kernel) -> str:
    """What reports say of taints.

    Source: kernel/panic.c print_tainted()
    """
    if not k.tainted_mask:
        return "Not tainted"
    letters = (letter if k.tainted_mask >> bit & 1 else " " for bit, letter in enumerate(_TAINT_LETTERS))
    text = "".join(letters)
    return "Tainted: " + ("G" + text[1:] if text[0] == " " else text)


def current_pid(k: Kernel) -> int:
    """Return the number of the task that runs: 0 until kernel_init() has a thread of its own, which is process 1.

    Source: include/linux/sched.h task_pid_nr(), of current
    """
    current = None if k.processes is None else k.processes.current
    return (1 if k.stage == "kernel_init" else 0) if current is None else int(current.pid)


def warn(k: Kernel, where: str, text: str | None = None, *, func: str) -> None:
    """Log a warning of the kernel about itself: `where` is "file:line" in 5.10.223, `func` the C function.

    Raises KernelPanic with panic_on_warn=1 or panic_on_taint=.
    Source: kernel/panic.c __warn(), check_panic_on_warn()
    Differs: the offset in the function, the stack and the trace's id belong to the compiled code and are left out.
    """
    printk(k, KERN_WARNING, "------------[ cut here ]------------", func=func)
    place, name = k.build.warning_place(where, func)
    cpu = k.mm.pgdat.cpu if hasattr(k.mm, "pgdat") else 0
    printk(k, KERN_WARNING, "WARNING: CPU: {cpu} PID: {pid} at {where} {name}", func=func, cpu=cpu, pid=current_pid(k),
           where=place, name=name)
    if text is not None:
        printk(k, KERN_WARNING, "{text}", func=func, text=text)
    if k.options.get("panic_on_warn"):
        panic(k, "kernel: panic_on_warn set ...", "cmdline: panic_on_warn makes the warning above the end")
    add_taint(k, TAINT_WARN)


def panic(k: Kernel, reason: str, cause: str | None = None) -> NoReturn:
    """Die, with the kernel's words and the cause in the inputs in the log. Raises KernelPanic.

    Source: kernel/panic.c panic()
    """
    k.panicked = KernelPanic(reason, cause)
    last_words(k, k.panicked)
    raise k.panicked


def last_words(k: Kernel, death: KernelPanic) -> None:
    """Log the panic line if the real kernel gets to say one, then the cause in the inputs.

    Source: kernel/panic.c panic()
    Differs: no stack dump between the two lines; code addresses are not modelled.
    """
    if death.reason is not None:
        printk(k, KERN_EMERG, "Kernel panic - not syncing: {reason}", reason=death.reason)
        printk(k, KERN_EMERG, "---[ end Kernel panic - not syncing: {reason} ]---", reason=death.reason)
    if death.cause is not None:
        step(k, "cause: {cause}", func="panic", level=KERN_EMERG, cause=death.cause)


def oops_setup(k: Kernel, arg: str | None) -> int:
    """oops=panic. Returns 0 or a negative errno.

    Source: kernel/panic.c oops_setup()
    """
    if arg is None:
        return -EINVAL
    if arg == "panic":
        k.options["panic_on_oops"] = True
    return 0


def panic_on_oops(k: Kernel) -> bool:
    """Whether an oops is a panic: oops=panic, or CONFIG_PANIC_ON_OOPS.

    Source: kernel/panic.c panic_on_oops
    """
    return bool(k.options.get("panic_on_oops", k.build.config.PANIC_ON_OOPS))


def death_of_idle(k: Kernel) -> str:
    """The panic of an oops during the boot, in which the idle task runs alone.

    Source: arch/arm/kernel/traps.c oops_end(), kernel/exit.c do_exit()
    """
    return "Fatal exception" if panic_on_oops(k) else "Attempted to kill the idle task!"


def _set_panic_on_warn(k: Kernel, value: int) -> None:
    k.options["panic_on_warn"] = value


def panic_on_taint_setup(k: Kernel, arg: str | None) -> int:
    """panic_on_taint=MASK[,nousertaint], in hexadecimal. Returns 0 or a negative errno.

    Source: kernel/panic.c panic_on_taint_setup()
    """
    word, _, more = (arg or "").partition(",")
    mask = (kstrtoull(word, 16, 32) or 0) & TAINT_FLAGS_MAX
    if not mask:
        return -EINVAL
    k.options["panic_on_taint"] = mask
    printk(k, KERN_INFO, "panic_on_taint: bitmask={mask:#x} nousertaint_mode={mode}abled", mask=mask,
           mode="en" if more == "nousertaint" else "dis")
    return 0


EARLY_PARAMS = (EarlyParam("panic_on_taint", panic_on_taint_setup), EarlyParam("oops", oops_setup))
CORE_PARAMS = (
    CoreParam("crash_kexec_post_notifiers", "bool"),
    CoreParam("panic_on_warn", "int", _set_panic_on_warn),
    CoreParam("pause_on_oops", "int"),
    CoreParam("panic_print", "ulong"),
    CoreParam("panic", "int"),
)
