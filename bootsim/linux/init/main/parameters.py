"""The kernel's tables of options, and which handler takes which word of the command line."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bootsim.causes import cause
from bootsim.errors import KernelPanic
from bootsim.linux.arch.arm.kernel import early_printk, setup
from bootsim.linux.arch.arm.mm import dma_mapping
from bootsim.linux.arch.arm.mm.mmu import lowmem, mem_types
from bootsim.linux.drivers.firmware.efi import efi
from bootsim.linux.drivers.tty.serial import earlycon
from bootsim.linux.fs import dcache, inode
from bootsim.linux.include.linux.err import Err
from bootsim.linux.include.linux.errno import EINVAL
from bootsim.linux.init import do_mounts_initrd, initramfs
from bootsim.linux.init.main import elsewhere
from bootsim.linux.kernel import cpu, panic, printk, smp
from bootsim.linux.kernel.dma import contiguous
from bootsim.linux.kernel.params import param_set, parameq, parameqn, parse_args
from bootsim.linux.kernel.printk import KERN_DEBUG, KERN_WARNING, step
from bootsim.linux.kernel.printk import printk as _printk
from bootsim.linux.lib.cmdline import CoreParam, EarlyParam, SetupParam, get_option, lacks
from bootsim.linux.lib.kstrtox import kstrtobool
from bootsim.linux.mm import memblock, memtest, page_alloc, page_owner, page_poison, percpu, shuffle, slab, slub
from bootsim.linux.mm.mmap import parameters as mmap
from bootsim.owners import Purpose

if TYPE_CHECKING:
    from bootsim.inputs.build import Config
    from bootsim.linux import Kernel

CONSOLE_LOGLEVEL_DEBUG = 10
BLACKLIST_ENTRY_BYTES = 12


# ---------------------------------------------------------------- the options of init/main.c itself


def loglevel(k: Kernel, arg: str | None) -> int:
    """loglevel=N. Returns 0 or a negative errno.

    Source: init/main.c loglevel()
    """
    found, level, _ = get_option(arg)
    if not found:
        return -EINVAL
    k.log.console_loglevel = level
    return 0


def debug_kernel(k: Kernel, _arg: str | None) -> int:
    """debug: everything reaches the console. Returns 0.

    Source: init/main.c debug_kernel()
    """
    k.log.console_loglevel = CONSOLE_LOGLEVEL_DEBUG
    return 0


def quiet_kernel(k: Kernel, _arg: str | None) -> int:
    """quiet: only errors reach the console. Returns 0.

    Source: init/main.c quiet_kernel()
    """
    k.log.console_loglevel = k.build.config.CONSOLE_LOGLEVEL_QUIET
    return 0


def warn_bootconfig(k: Kernel, _arg: str | None) -> int:
    """bootconfig, in a kernel that has none. Returns 0.

    Source: init/main.c warn_bootconfig()
    """
    _printk(k, KERN_WARNING, "WARNING: 'bootconfig' found on the kernel command line but CONFIG_BOOT_CONFIG is not "
            "set.")
    return 0


def set_debug_rodata(k: Kernel, text: str) -> bool:
    """rodata=: whether code and read-only data become read-only.

    Source: init/main.c set_debug_rodata()
    """
    value = kstrtobool(text)
    if value is None:
        _printk(k, KERN_WARNING, "Invalid option string for rodata: '{text}'", text=text)
    else:
        k.options["rodata"] = value
    return True


def initcall_blacklist(k: Kernel, text: str) -> bool:
    """initcall_blacklist=NAME,...: a list entry and a copy of each name are taken from memblock.

    Source: init/main.c initcall_blacklist()
    """
    if not k.build.config.KALLSYMS:
        _printk(k, KERN_WARNING, "initcall_blacklist requires CONFIG_KALLSYMS")
        return False
    for name in text.split(","):
        _printk(k, KERN_DEBUG, "blacklisting initcall {name}", name=name)
        for size in (BLACKLIST_ENTRY_BYTES, len(name) + 1):
            pa = memblock.memblock_alloc(k.mm.memblock, size, k.mm.smp_cache_bytes, "initcall_blacklist",
                                         Purpose("other", "initcall blacklist", "cmdline:initcall_blacklist"))
            if isinstance(pa, Err):
                raise KernelPanic(f"initcall_blacklist: Failed to allocate {size} bytes", cause(k, pa.why))
    return True


def init_setup(k: Kernel, _text: str) -> bool:
    """init= and rdinit=: words before it that nobody took are not handed to it.

    Source: init/main.c init_setup(), rdinit_setup()
    """
    del k.argv_init[1:]
    return True


EARLY_PARAMS = (
    EarlyParam("bootconfig", warn_bootconfig, ("!BOOT_CONFIG",)),
    EarlyParam("loglevel", loglevel),
    EarlyParam("quiet", quiet_kernel),
    EarlyParam("debug", debug_kernel),
)
SETUP_PARAMS = (
    SetupParam("rodata=", set_debug_rodata, ("STRICT_KERNEL_RWX",)),
    SetupParam("initcall_blacklist=", initcall_blacklist),
    SetupParam("rdinit=", init_setup),
    SetupParam("init=", init_setup),
)
CORE_PARAMS = (CoreParam("initcall_debug", "bool"),)


# ---------------------------------------------------------------- all of them

# In the order in which a kernel is linked; within a file a compiler puts the last one first.
_EARLY: tuple[EarlyParam, ...] = (
    *EARLY_PARAMS, *do_mounts_initrd.EARLY_PARAMS, *early_printk.EARLY_PARAMS, *setup.EARLY_PARAMS,
    *dma_mapping.EARLY_PARAMS, *lowmem.EARLY_PARAMS, *mem_types.EARLY_PARAMS, *panic.EARLY_PARAMS, *cpu.EARLY_PARAMS,
    *printk.EARLY_PARAMS, *contiguous.EARLY_PARAMS, *smp.EARLY_PARAMS, *percpu.EARLY_PARAMS, *page_alloc.EARLY_PARAMS,
    *memblock.EARLY_PARAMS, *page_poison.EARLY_PARAMS, *page_owner.EARLY_PARAMS, *memtest.EARLY_PARAMS,
    *earlycon.EARLY_PARAMS, *efi.EARLY_PARAMS, *elsewhere.EARLY_PARAMS,
)  # fmt: skip
_SETUP: tuple[SetupParam, ...] = (
    *SETUP_PARAMS, *initramfs.SETUP_PARAMS, *mem_types.SETUP_PARAMS, *printk.SETUP_PARAMS, *slab.SETUP_PARAMS,
    *slub.SETUP_PARAMS, *mmap.SETUP_PARAMS, *dcache.SETUP_PARAMS, *inode.SETUP_PARAMS, *elsewhere.SETUP_PARAMS,
)  # fmt: skip
_CORE: tuple[CoreParam, ...] = (
    *CORE_PARAMS, *panic.CORE_PARAMS, *printk.CORE_PARAMS, *shuffle.CORE_PARAMS, *elsewhere.CORE_PARAMS,
)  # fmt: skip


def _has(config: Config, entry: EarlyParam | SetupParam | CoreParam) -> bool:
    return lacks(entry, config) is None


def parse_early_param(k: Kernel) -> None:
    """Hand each word of the command line to its early handler; unknown words pass in silence.

    Source: init/main.c parse_early_param(), do_early_param()
    """
    config = k.build.config

    def do_early_param(param: str, val: str | None) -> None:
        for entry in _EARLY:
            if (parameq(param, entry.name) or (param == "console" and entry.name == "earlycon")) and \
                    _has(config, entry) and entry.handler(k, val):
                explained = k.log.records[-1].text.startswith("bootsim: cause:")
                _printk(k, KERN_WARNING, "Malformed early option '{param}'", func="do_early_param", param=param)
                if not explained:
                    step(k, "cause: cmdline: {word}: no value that the kernel understands", func="do_early_param",
                         word=param if val is None else f"{param}={val}")

    parse_args(k.boot_command_line, do_early_param)


def obsolete_checksetup(k: Kernel, line: str) -> bool:
    """Hand a word to the __setup() handlers whose name it starts with, until one takes it, or was early.

    Source: init/main.c obsolete_checksetup()
    """
    config = k.build.config
    for entry in _SETUP:
        if parameqn(line, entry.name) and _has(config, entry) and entry.handler(k, line[len(entry.name):]):
            return True
    name = line.partition("=")[0]
    return any(parameq(name, entry.name) and _has(config, entry) for entry in _EARLY)


def unknown_bootoption(k: Kernel, param: str, val: str | None) -> None:
    """What becomes of a word that is no parameter by name: an old option, a module's, or init's.

    Source: init/main.c unknown_bootoption()
    """
    line = param if val is None else f"{param}={val}"
    if obsolete_checksetup(k, line):
        return
    k.unused.append(f"{line} ({_why_unused(k.build.config, param)})")
    if "." in param or k.options.get("panic_later"):
        return
    limit = k.build.config.INIT_ENV_ARG_LIMIT
    kind, words = ("init", k.argv_init) if val is None else ("env", k.envp_init)
    at = next((i for i, word in enumerate(words) if val is not None and word.startswith(f"{param}=")), len(words))
    if min(at, len(words) - 1) >= limit:
        k.options["panic_later"] = (kind, line)
    words[at:at + 1] = [line]


def _why_unused(config: Config, param: str) -> str:
    # why nobody takes a word, for the line at the end of the boot
    entries: tuple[EarlyParam | SetupParam | CoreParam, ...] = (*_EARLY, *_SETUP, *_CORE)
    for entry in entries:
        if parameq(param, entry.name.removesuffix("=")) and (reason := lacks(entry, config)) is not None:
            return reason
    if param == "crashkernel":
        return "CONFIG_KEXEC is not set"
    return "a module's" if "." in param else "handed to init"


def parse_boot_params(k: Kernel) -> None:
    """The later options, and what is handed to init.

    Source: init/main.c start_kernel(), its calls of parse_args("Booting kernel") and parse_args("Setting init args")
    Differs: a module parameter that is not in CORE_PARAMS may be known to the real kernel; no memory depends on one.
    """
    config = k.build.config

    def handle(param: str, val: str | None) -> None:
        entry = next((entry for entry in _CORE if parameq(param, entry.name) and _has(config, entry)), None)
        if entry is not None:
            param_set(k, "Booting kernel", entry, val)
        elif not (param == "crashkernel" and config.KEXEC):
            unknown_bootoption(k, param, val)

    after_dashes = parse_args(k.boot_command_line, handle)
    for word in (after_dashes or "").split():
        if len(k.argv_init) > k.build.config.INIT_ENV_ARG_LIMIT:
            k.options.setdefault("panic_later", ("init", word))
            break
        k.argv_init.append(word)


def panic_later(k: Kernel) -> None:
    """Die of too many words for init, once a console could show it.

    Source: init/main.c start_kernel()
    """
    if late := k.options.get("panic_later"):
        kind, word = late
        raise KernelPanic(f"Too many boot {kind} vars at `{word}'",
                          "cmdline: more words that the kernel does not know than CONFIG_INIT_ENV_ARG_LIMIT="
                          f"{k.build.config.INIT_ENV_ARG_LIMIT} lets it hand to init")
