"""bootsim: a replay of the memory side of booting 32-bit ARM Linux 5.10.

    >>> import bootsim
    >>> k = bootsim.boot("vexpress.dts", config="3G/1G", mem="1G")
    >>> k.translate(0xC0008000)
    >>> [record.text for record in k.log.records if record.kernel]

Everything heavy is imported by the functions that need it, so that `import bootsim` costs nothing.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    import os
    from collections.abc import Callable, Sequence

    from bootsim.inputs.build import KernelBuild
    from bootsim.inputs.tree import Tree
    from bootsim.linux import Kernel

__version__ = "0.1.0"
__all__ = ["__version__", "boot", "prepare", "run"]


def boot(
    dts: str | os.PathLike[str] | Tree,
    config: str | os.PathLike[str] = "3G/1G",
    *,
    mem: int | str | None = None,
    smp: int | None = None,
    cmdline: str | None = None,
    bootloader: Literal["none", "qemu"] = "none",
    dtb_addr: int | None = None,
    load_addr: int | None = None,
    ram: int | str | tuple[int, int | None] | None = None,
    cpu: Sequence[str] = (),
    soc: Sequence[str] = (),
    initrd: str | os.PathLike[str] | tuple[str | os.PathLike[str], int | None] | None = None,
    include_dirs: Sequence[str | os.PathLike[str]] = (),
    allow_outside: bool = False,
    until: str | None = None,
    stages: bool = False,
) -> Kernel:
    """Boot a device tree and return the kernel as the boot leaves it.

    `dts` is a .dts or .dtb file (told apart by content), "-" for standard input, the name of a bundled tree, or what
    `bootsim.inputs.devicetree.load_tree` made of one.
    `config` is the name of a bundled kernel build, or a YAML file that describes one. `mem` sizes the memory node, in
    bytes or as "512M"; None leaves the tree's. `smp` is how many processors are powered; None means all that the tree
    has, but one when QEMU loads or edited the tree, which is its default and not told in the tree. `cmdline` replaces
    the tree's bootargs. `bootloader` is "qemu" (what QEMU 7.2 does to the tree and where it puts things) or "none".
    `dtb_addr` and `load_addr` are physical addresses of the tree and of the kernel image. `ram` is the RAM really
    there, where the tree does not tell the truth: bytes, "1G", or with its start "1G@0x60000000". `cpu` states the
    processor that boots where it is not the one the tree names first: a model ("cortex-a15"), "midr=VALUE",
    "mpidr=VALUE". `soc` are words of the SoC's registers, as "NAME=VALUE" (see `bootsim.hw.soc`). `initrd` is a file,
    or (file, physical address). `include_dirs` are searched for #include and /include/; with `allow_outside` a source
    may take in files from anywhere. `until` stops after that stage
    (see `bootsim.stages.STAGES`). With `stages`, the kernel's `observer.stages` holds a snapshot of every stage
    passed.

    The kernel answers `translate(va)`, and holds `memblock`, `zones`, `facts` and `records` (the log).
    Raises InputError for input that cannot be used, KernelPanic when the replayed kernel dies.
    """
    from bootsim.state.recorder import Recorder

    k = prepare(
        dts,
        config,
        mem=mem,
        smp=smp,
        cmdline=cmdline,
        bootloader=bootloader,
        dtb_addr=dtb_addr,
        load_addr=load_addr,
        initrd=initrd,
        ram=ram,
        cpu=cpu,
        soc=soc,
        include_dirs=include_dirs,
        allow_outside=allow_outside,
        observer=Recorder() if stages else None,
    )
    run(k, until=until)
    return k


def prepare(
    dts: str | os.PathLike[str] | Tree,
    config: str | os.PathLike[str] | KernelBuild = "3G/1G",
    *,
    mem: int | str | None = None,
    smp: int | None = None,
    cmdline: str | None = None,
    bootloader: Literal["none", "qemu"] = "none",
    dtb_addr: int | None = None,
    load_addr: int | None = None,
    ram: int | str | tuple[int, int | None] | None = None,
    cpu: Sequence[str] = (),
    soc: Sequence[str] = (),
    initrd: str | os.PathLike[str] | tuple[str | os.PathLike[str], int | None] | None = None,
    include_dirs: Sequence[str | os.PathLike[str]] = (),
    allow_outside: bool = False,
    observer: Callable[[str, Kernel], None] | None = None,
) -> Kernel:
    """Return a kernel at its first instruction, with the machine and RAM as the bootloader left them.

    The arguments are those of `boot`; who boots often may give a loaded tree and a loaded build in place of their
    names. `observer(stage, k)` is called at every stage once the kernel runs (`run`).
    Raises InputError for input that cannot be used.
    """
    from bootsim.hw.cpu import of_tree, stated
    from bootsim.hw.machine import power_on
    from bootsim.hw.soc import processor_of, soc_for
    from bootsim.inputs import bootloader as loader
    from bootsim.inputs.build import KernelBuild
    from bootsim.inputs.configfile import load_build
    from bootsim.inputs.devicetree import load_tree
    from bootsim.inputs.tree import Tree
    from bootsim.linux import Kernel

    build = config if isinstance(config, KernelBuild) else load_build(config)
    tree = dts if isinstance(dts, Tree) else load_tree(dts, include_dirs, allow_outside=allow_outside)
    handover = loader.load(
        tree,
        build,
        bootloader=bootloader,
        mem_bytes=_bytes(mem, "mem"),
        cmdline=cmdline,
        dtb_pa=dtb_addr,
        load_pa=load_addr,
        initrd=initrd if initrd is None or isinstance(initrd, tuple) else (initrd, None),
        ram=_ram(ram),
    )
    cpus = smp or _powered(tree, bootloader)
    processor = stated(cpu, lambda: processor_of(tree, of_tree(tree)))
    machine = power_on(handover, processor, cpus, soc_for(tree, map(_register, soc), cpus))
    return Kernel(build, machine, observer=observer, where=tree.where)


def load_ipython_extension(shell: Any) -> None:
    """`%load_ext bootsim` in a notebook: `%bootsim TREE [OPTIONS]` boots, as `bootsim shell` does.

    The machine's names come into the notebook, and `lab`, which shows itself as a picture.
    """
    from bootsim.cli.inputs import parsed

    def boot_here(line: str) -> Any:
        from bootsim.lab.session import Session
        from bootsim.views import alive

        tree, inputs = parsed(line, "%bootsim")
        k = prepare(tree, **inputs)
        run(k)
        session = Session(k, alive.text)
        shell.push(session.names())
        return session

    shell.register_magic_function(boot_here, "line", "bootsim")


def _bytes(size: int | str | None, what: str) -> int | None:
    from bootsim.errors import InputError
    from bootsim.sizes import parse_number

    try:
        value = parse_number(size) if isinstance(size, str) else size
    except ValueError as error:
        raise InputError(f"{what}: {error}") from None
    if value is not None and value <= 0:
        raise InputError(f"{what}: {size} is no amount of RAM")
    return value


def _ram(ram: int | str | tuple[int, int | None] | None) -> tuple[int, int | None] | None:
    # (bytes, base or None) of SIZE or SIZE@BASE
    from bootsim.errors import InputError
    from bootsim.sizes import parse_number

    if ram is None or isinstance(ram, tuple):
        return ram
    size, at, base = ram.partition("@") if isinstance(ram, str) else (ram, "", "")
    try:
        return _bytes(size, "ram") or 0, parse_number(base) if at else None
    except ValueError as error:
        raise InputError(f"ram: {error}") from None


def _register(text: str) -> tuple[str, int]:
    # NAME=VALUE of --soc
    from bootsim.errors import InputError

    name, equals, value = text.partition("=")
    try:
        number = int(value, 0)
    except ValueError:
        number = -1
    if not equals or not 0 <= number <= 0xFFFFFFFF:
        raise InputError(f"--soc {text}: expected NAME=VALUE, a register and its 32-bit value (0x43520210)")
    return name, number


def _powered(tree: Tree, bootloader: str) -> int:
    # A tree lists the processors of the board; QEMU starts one unless told, and leaves virtio_mmio nodes behind.
    if bootloader == "qemu" or any(node.name.startswith("virtio_mmio@") for node in tree.root.nodes):
        return 1
    return max(1, len(tree.processors))


def run(k: Kernel, *, until: str | None = None) -> None:
    """Run a prepared kernel to the end of its boot, or until after the stage `until`. Raises KernelPanic."""
    from bootsim import linux
    from bootsim.errors import InputError
    from bootsim.stages import STAGES

    if until is not None and until not in STAGES:
        raise InputError(f"no stage {until!r}; the stages are {', '.join(STAGES)}")
    linux.boot(k, until=until)
