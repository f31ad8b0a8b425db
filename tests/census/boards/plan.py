"""What a board's bootloader would do for its tree: how much RAM it would enter, and where it would put the kernel.

Many trees leave the memory node to the bootloader, which knows the board: it is missing, or its size or all of it is 0.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from bootsim.inputs.dtb import read_tree
from bootsim.linux.arch.arm.kernel.head import proc_info_list

if TYPE_CHECKING:
    from collections.abc import Sequence

    from bootsim.hw.cpu import Cpu
    from bootsim.inputs.build import KernelBuild

MIB = 1 << 20
TOP = 1 << 32
KERNEL_ALIGN = 16 * MIB  # PHYS_OFFSET must be a multiple of it
RAM_SIZES = (512 * MIB, 1024 * MIB, 2048 * MIB, 3072 * MIB)

# Where RAM starts on systems whose trees leave that to the bootloader; from the other boards of the same system in the
# kernel's tree, and from U-Boot's CONFIG_SYS_SDRAM_BASE.
RAM_BASE = {
    "al,alpine": 0x0,
    "allwinner,sun4i-a10": 0x40000000,
    "allwinner,sun5i-a10s": 0x40000000,
    "allwinner,sun5i-a13": 0x40000000,
    "allwinner,sun6i-a31": 0x40000000,
    "allwinner,sun6i-a31s": 0x40000000,
    "allwinner,sun7i-a20": 0x40000000,
    "allwinner,sun8i-a23": 0x40000000,
    "allwinner,sun8i-a33": 0x40000000,
    "allwinner,sun8i-a83t": 0x40000000,
    "allwinner,sun8i-h2-plus": 0x40000000,
    "allwinner,sun8i-h3": 0x40000000,
    "allwinner,sun8i-r40": 0x40000000,
    "allwinner,sun8i-v3": 0x40000000,
    "allwinner,sun8i-v3s": 0x40000000,
    "allwinner,sun9i-a80": 0x20000000,
    "allwinner,suniv-f1c100s": 0x80000000,
    "arm,integrator-ap": 0x0,
    "arm,integrator-cp": 0x0,
    "brcm,bcm2711": 0x0,
    "brcm,cygnus": 0x60000000,
    "fsl,imx6dl": 0x10000000,
    "fsl,imx6q": 0x10000000,
    "fsl,imx6ull": 0x80000000,
    "fsl,imx7d": 0x80000000,
    "fsl,ls1021a": 0x80000000,
    "marvell,berlin": 0x0,
    "mrvl,pxa168": 0x0,
    "mrvl,pxa910": 0x0,
    "nextthing,gr8": 0x40000000,
    "nuvoton,npcm750": 0x0,
    "qcom,apq8064": 0x80000000,
    "qcom,apq8074": 0x0,
    "qcom,apq8084": 0x0,
    "qcom,ipq4019": 0x80000000,
    "qcom,ipq8064": 0x40000000,
    "qcom,ipq8064-ap148": 0x40000000,
    "qcom,msm8660": 0x40000000,
    "qcom,msm8960": 0x80000000,
    "qcom,msm8974": 0x0,
    "renesas,r9a06g032": 0x80000000,
    "rockchip,rk3288": 0x0,
    "st,stm32mp157": 0xC0000000,
    "st-ericsson,u8500": 0x0,
    "ti,am33xx": 0x80000000,
    "ti,am43": 0x80000000,
    "ti,omap3": 0x80000000,
    "via,vt8500": 0x0,
    "wm,wm8505": 0x0,
    "wm,wm8650": 0x0,
    "wm,wm8750": 0x0,
    "wm,wm8850": 0x0,
}


class NotModelledError(Exception):
    """A board that this kernel is not for, and why."""


@dataclass(frozen=True)
class Plan:
    """The arguments of `bootsim.prepare` beside the tree, and why they are what they are."""

    build: KernelBuild
    mem_bytes: int | None = None
    load_pa: int | None = None
    why: tuple[str, ...] = ()


@dataclass(frozen=True)
class Summary:
    """What decides a plan beside the processor: the root's compatible strings, and where memory is said to be.

    `memory` is None without a memory node, else its (base, bytes), empty ones too. `reserved` are the ends (pa) of what
    lies below /reserved-memory.
    """

    compatible: tuple[str, ...]
    memory: tuple[tuple[int, int], ...] | None
    reserved: tuple[int, ...] = ()

    @property
    def banks(self) -> list[tuple[int, int]]:
        """Those of `memory` that have a size."""
        return [(base, size) for base, size in self.memory or () if size]


def summary(blob: bytes, name: str) -> Summary:
    """Read a blob."""
    tree = read_tree(blob, name)
    root = dict(tree.root.props)
    cells = tuple(int.from_bytes(root.get(which, b"\0\0\0\1"), "big") for which in ("#address-cells", "#size-cells"))
    reserved: list[int] = []
    memory: list[tuple[int, int]] | None = None
    inside = cells
    for path, node in tree.walk():
        props = dict(node.props)
        if path == "/reserved-memory":
            inside = tuple(int.from_bytes(props.get(which, b"\0\0\0\1"), "big")
                           for which in ("#address-cells", "#size-cells"))
        elif path.startswith("/reserved-memory/") and path.count("/") == 2:
            reserved += [base + size for base, size in ranges(props.get("reg", b""), *inside)]
        if props.get("device_type") == b"memory\0":
            memory = (memory or []) + ranges(props.get("linux,usable-memory", props.get("reg", b"")), *cells)
    return Summary(_strings(root.get("compatible", b"")), None if memory is None else tuple(memory), tuple(reserved))


def ranges(reg: bytes, acells: int, scells: int) -> list[tuple[int, int]]:
    """(base, size) of the whole entries in a reg."""
    each = 4 * (acells + scells)
    entries = [reg[i : i + each] for i in range(0, len(reg) - each + 1, each)] if each else []
    return [(int.from_bytes(e[: 4 * acells], "big"), int.from_bytes(e[4 * acells :], "big")) for e in entries]


def choose(board: Summary, cpu: Cpu, builds: Sequence[KernelBuild]) -> Plan:
    """What the board's bootloader would do, with the first of the kernels that know `cpu` best and fit into RAM.

    Raises NotModelledError for a board that none of the kernels is for.
    """
    entries = [(build, max((info.cpu_mask.bit_count() for info in proc_info_list(build.config)
                            if cpu.midr & info.cpu_mask == info.cpu_val), default=0)) for build in builds]
    best = max(bits for _, bits in entries)  # the entry for any ARMv7 processor matches an ARM1176 too
    knowing = [build for build, bits in entries if bits == best > 0]
    if not knowing:
        raise NotModelledError(f"CPU {cpu.name}: none of the kernels knows it")
    if not board.banks:
        base, known = _ram_base(board)
        mem_bytes = _ram_size(board, base)
        load_pa = base + _text_offset(knowing[0]) if known else None
        return Plan(knowing[0], mem_bytes, load_pa, (f"{mem_bytes // MIB} MiB of RAM at {base:#x}{known}",))
    build = _fitting(board, knowing)
    load_pa = _aligned_load(board, _text_offset(build), build.symbols.end - build.symbols.text)
    why = () if load_pa is None else (f"kernel loaded at {load_pa:#x}, as RAM starts at no multiple of 16 MiB",)
    return Plan(build, None, load_pa, why)


def _text_offset(build: KernelBuild) -> int:
    return build.symbols.text - build.config.PAGE_OFFSET


def _ram_base(board: Summary) -> tuple[int, str]:
    # (pa, where it is from, "" for the tree)
    stated = next((base for base, _ in board.memory or () if base), None)
    if stated is not None:
        return stated, ""
    for name in board.compatible:
        if name in RAM_BASE:
            return RAM_BASE[name], f", as all {name}"
    raise NotModelledError(f"RAM: the tree has none, and where {board.compatible[-1]} has it is not known")


def _ram_size(board: Summary, base: int) -> int:
    # As much as the tree's fixed reservations need, for the bootloader knows the board.
    ends = [end for end in board.reserved if base < end <= min(base + RAM_SIZES[-1], TOP)]
    needed = max(ends, default=base) - base
    return next(size for size in RAM_SIZES if size >= needed)


def _fitting(board: Summary, builds: Sequence[KernelBuild]) -> KernelBuild:
    low = [(base, size) for base, size in board.banks if base < TOP]
    if not low:
        raise NotModelledError("RAM: all above 4 GiB, for kernels with LPAE")
    largest = max(size for _, size in low)
    for build in builds:
        if largest >= build.symbols.end - build.config.PAGE_OFFSET:
            return build
    raise NotModelledError(f"RAM: {largest // MIB} MiB, smaller than a kernel")


def _aligned_load(board: Summary, text_offset: int, kernel_bytes: int) -> int | None:
    # None when the tree's banks allow it as they are; else the first place in RAM from where the kernel can run
    low = sorted((base, size) for base, size in board.banks if base < TOP)
    if any(base % KERNEL_ALIGN == 0 and size >= text_offset + kernel_bytes for base, size in low):
        return None
    for base, size in low:
        start = -(-base // KERNEL_ALIGN) * KERNEL_ALIGN
        if start + text_offset + kernel_bytes <= base + size:
            return start + text_offset
    return None


def _strings(value: bytes) -> tuple[str, ...]:
    return tuple(part.decode(errors="replace") for part in value.split(b"\0") if part)
