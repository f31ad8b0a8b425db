"""bootsim: a replay of the memory side of booting 32-bit ARM Linux 5.10.

    >>> import bootsim
    >>> k = bootsim.boot("vexpress.dts", config="3G/1G", mem="1G")
    >>> k.translate(0xC0008000)
    >>> [record.text for record in k.log.records if record.kernel]

Everything heavy is imported by the functions that need it, so that `import bootsim` costs nothing.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from bootsim.version import __version__

if TYPE_CHECKING:
    import os
    from collections.abc import Sequence

    from bootsim.inputs.tree import Tree
    from bootsim.linux import Kernel
    from bootsim.start import prepare, run

__all__ = ["__version__", "boot", "prepare", "run"]


def boot(
    dts: str | os.PathLike[str] | Tree, config: str | os.PathLike[str] = "3G/1G", *, slab: str | None = None,
    mem: int | str | None = None, smp: int | None = None, cmdline: str | None = None, bootloader: str = "none",
    uboot: Sequence[str] = (), atags: str | None = None, efi_memmap: str | os.PathLike[str] | None = None,
    dtb_addr: int | None = None, load_addr: int | None = None, ram: int | str | tuple[int, int | None] | None = None,
    cpu: Sequence[str] = (), soc: Sequence[str] = (),
    initrd: str | os.PathLike[str] | tuple[str | os.PathLike[str], int | None] | None = None,
    include_dirs: Sequence[str | os.PathLike[str]] = (), allow_outside: bool = False,
    until: str | None = None, stages: bool = False,
) -> Kernel:  # fmt: skip
    """Boot a device tree and return the kernel as the boot leaves it.

    `dts` is a .dts or .dtb file (told apart by content), "-" for standard input, the name of a bundled tree, or what
    `bootsim.inputs.devicetree.load_tree` made of one.
    `config` is the name of a bundled kernel build, or a YAML file that describes one. `slab` gives
    it another slab allocator than its own, which the log tells. `mem` sizes the memory node, in
    bytes or as "512M"; None leaves the tree's. `smp` is how many processors are powered; None means all that the tree
    has, but as many as QEMU starts when that loads or edited the tree, which the tree does not tell. `cmdline` replaces
    the tree's bootargs. `bootloader` is "qemu" (what QEMU 7.2 does to the tree and where it puts things), "u-boot",
    "none", or "qemu:MACHINE" where the tree does not tell which of QEMU's machines is meant.
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
    from bootsim.start import prepare, run
    from bootsim.state.recorder import Recorder

    k = prepare(
        dts, config, slab=slab, mem=mem, smp=smp, cmdline=cmdline, bootloader=bootloader, uboot=uboot, atags=atags,
        efi_memmap=efi_memmap, dtb_addr=dtb_addr, load_addr=load_addr, ram=ram, cpu=cpu, soc=soc, initrd=initrd,
        include_dirs=include_dirs, allow_outside=allow_outside, observer=Recorder() if stages else None,
    )  # fmt: skip
    run(k, until=until)
    return k


def load_ipython_extension(shell: Any) -> None:
    """`%load_ext bootsim` in a notebook: `%bootsim TREE [OPTIONS]` boots, as `bootsim shell` does.

    The machine's names come into the notebook, and `lab`, which shows itself as a picture.
    """
    from bootsim.cli.inputs import parsed

    def boot_here(line: str) -> Any:
        from bootsim.lab.session import Session
        from bootsim.start import prepare, run
        from bootsim.views import alive

        tree, inputs = parsed(line, "%bootsim")
        k = prepare(tree, **inputs)
        run(k)
        session = Session(k, alive.text)
        shell.push(session.names())
        return session

    shell.register_magic_function(boot_here, "line", "bootsim")


def __getattr__(name: str) -> Any:
    # prepare and run are those of bootsim.start, which imports the whole replay
    if name not in ("prepare", "run"):
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from bootsim import start

    return getattr(start, name)
