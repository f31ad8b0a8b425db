"""Making a machine ready from its inputs, and running the kernel on it: how every layer above the replay boots."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bootsim.errors import InputError
from bootsim.hw.cpu import core_modules, of_tree, stated
from bootsim.hw.machine import power_on
from bootsim.hw.soc import processor_of, soc_for
from bootsim.inputs import bootloader as loader
from bootsim.inputs.build import KernelBuild
from bootsim.inputs.configfile import load_build
from bootsim.inputs.devicetree import load_tree
from bootsim.inputs.tree import Tree
from bootsim.linux import Kernel, boot
from bootsim.linux.kernel.printk import KERN_WARNING, step
from bootsim.sizes import parse_number
from bootsim.stages import STAGES

if TYPE_CHECKING:
    import os
    from collections.abc import Callable, Sequence

    from bootsim.hw.cpu import Cpu


def prepare(
    dts: str | os.PathLike[str] | Tree, config: str | os.PathLike[str] | KernelBuild = "3G/1G", *,
    slab: str | None = None, mem: int | str | None = None, smp: int | None = None, cmdline: str | None = None,
    bootloader: str = "none", uboot: Sequence[str] = (), atags: str | None = None,
    efi_memmap: str | os.PathLike[str] | None = None, dtb_addr: int | None = None, load_addr: int | None = None,
    ram: int | str | tuple[int, int | None] | None = None, cpu: Sequence[str] = (), soc: Sequence[str] = (),
    initrd: str | os.PathLike[str] | tuple[str | os.PathLike[str], int | None] | None = None,
    include_dirs: Sequence[str | os.PathLike[str]] = (), allow_outside: bool = False,
    observer: Callable[[str, Kernel], None] | None = None,
) -> Kernel:  # fmt: skip
    """Return a kernel at its first instruction, with the machine and RAM as the bootloader left them.

    The arguments are those of `bootsim.boot`; who boots often may give a loaded tree and a loaded build in place of
    their names. `observer(stage, k)` is called at every stage once the kernel runs (`run`).
    Raises InputError for input that cannot be used.
    """
    build = config if isinstance(config, KernelBuild) else load_build(config)
    own = build
    if slab is not None:
        from bootsim.inputs.slabchoice import with_slab  # few boots ask for another allocator

        build = with_slab(own, slab)
    tree = dts if isinstance(dts, Tree) else load_tree(dts, include_dirs, allow_outside=allow_outside)
    handover = loader.load(
        tree, build, bootloader=bootloader, mem_bytes=_bytes(mem, "mem"), smp=smp, cmdline=cmdline, dtb_pa=dtb_addr,
        load_pa=load_addr, initrd=initrd if initrd is None or isinstance(initrd, tuple) else (initrd, None),
        ram=_ram(ram), uboot=uboot, atags=atags, efi_memmap=efi_memmap,
    )  # fmt: skip
    cpus = handover.cpus or smp or _powered(tree)
    modules = () if cpu else core_modules(tree)
    processor = stated(cpu, lambda: processor_of(tree, _of_module(modules, build) or of_tree(tree)))
    machine = power_on(handover, processor, cpus, soc_for(tree, map(_register, soc), cpus))
    k = Kernel(build, machine, observer=observer, where=tree.where)
    if build is not own:
        _tell_slab(k, own, build)
    if modules and processor.part != modules[0].part:
        step(k, "warning: the tree does not tell which processor the board has, and this kernel does not know {usual}: "
             "taken to be {cpu}; --cpu states another", func="prepare", level=KERN_WARNING, usual=modules[0].name,
             cpu=processor.name)
    return k


def _of_module(modules: Sequence[Cpu], build: KernelBuild) -> Cpu | None:
    # of a board with core modules: the first whose processor the kernel knows
    if not modules:
        return None
    from bootsim.linux.arch.arm.kernel.head import knows

    return next((cpu for cpu in modules if knows(build.config, cpu.midr)), modules[0])


def _tell_slab(k: Kernel, own: KernelBuild, build: KernelBuild) -> None:
    from bootsim.inputs.slabchoice import allocator_of, what_follows

    follows, unknown = what_follows(own, build)
    slab = allocator_of(build.config)
    step(k, "--slab {slab}: {what}", func="prepare", level=KERN_WARNING, slab=slab, what=follows)
    step(k, "warning: --slab {slab}: {what}", func="prepare", level=KERN_WARNING, slab=slab, what=unknown)


def _bytes(size: int | str | None, what: str) -> int | None:
    try:
        value = parse_number(size) if isinstance(size, str) else size
    except ValueError as error:
        raise InputError(f"{what}: {error}") from None
    if value is not None and value <= 0:
        raise InputError(f"{what}: {size} is no amount of RAM")
    return value


def _ram(ram: int | str | tuple[int, int | None] | None) -> tuple[int, int | None] | None:
    # (bytes, base or None) of SIZE or SIZE@BASE
    if ram is None or isinstance(ram, tuple):
        return ram
    size, at, base = ram.partition("@") if isinstance(ram, str) else (ram, "", "")
    try:
        return _bytes(size, "ram") or 0, parse_number(base) if at else None
    except ValueError as error:
        raise InputError(f"ram: {error}") from None


def _register(text: str) -> tuple[str, int]:
    # NAME=VALUE of --soc
    name, equals, value = text.partition("=")
    try:
        number = int(value, 0)
    except ValueError:
        number = -1
    if not equals or not 0 <= number <= 0xFFFFFFFF:
        raise InputError(f"--soc {text}: expected NAME=VALUE, a register and its 32-bit value (0x43520210)")
    return name, number


def _powered(tree: Tree) -> int:
    # A tree lists the processors of the board; QEMU starts one unless told, and leaves virtio_mmio nodes behind.
    if any(node.name.startswith("virtio_mmio@") for node in tree.root.nodes):
        return 1
    return max(1, len(tree.processors))


def run(k: Kernel, *, until: str | None = None) -> None:
    """Run a prepared kernel to the end of its boot, or until after the stage `until`. Raises KernelPanic."""
    if until is not None and until not in STAGES:
        raise InputError(f"no stage {until!r}; the stages are {', '.join(STAGES)}")
    boot(k, until=until)
