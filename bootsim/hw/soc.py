"""What the system on chip around the processors answers: where its Snoop Control Unit is, and registers of identity.

A kernel asks a chip which one it is. Nobody can ask the chip here, so a register reads as `--soc NAME=VALUE` states it,
else as QEMU 7.2 models that SoC or as the kernel wants a chip of that name, else as zero, which is what an address
without a device reads as on QEMU's boards.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from bootsim.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from bootsim.hw.cpu import Cpu
    from bootsim.inputs.tree import Node, Tree

SCU_CONFIG = 0x04
VEXPRESS_SCU = 0x1E000000

# Registers that Linux 5.10 reads before its page allocator runs, as --soc calls them: physical address and meaning.
REGISTERS = {
    "am33xx.idcode": (0x44E10600, "AM335x, AM437x: device and revision"),
    "am33xx.features": (0x44E10604, "AM335x: which units there are (bit 29: SGX)"),
    "da850.jtag_id": (0x01C14018, "DA850, OMAP-L138, AM18xx: device and revision"),
    "dra7.die_id_2": (0x4AE0C20C, "DRA7xx, AM57xx: package, in bits 16 and 17"),
    "dra7.idcode": (0x4AE0C204, "DRA7xx, AM57xx: device and revision"),
    "exynos.chipid": (0x10000000, "Exynos: chip and revision"),
    "omap2420.idcode": (0x48014204, "OMAP2420: device and revision"),
    "omap2430.idcode": (0x4900A204, "OMAP2430: device and revision"),
    "omap3.idcode": (0x4830A204, "OMAP3, AM35xx, DM37xx: device and revision"),
    "omap3.status": (0x4800244C, "OMAP3, AM35xx, DM37xx: which units there are"),
    "omap4.idcode": (0x4A002204, "OMAP4, OMAP5: device and revision"),
    "s3c2416.id": (0x560000B0, "S3C2416, S3C2450: chip and revision"),
    "s3c6400.id": (0x7E00FA1C, "S3C6400: chip and revision"),
    "s3c64xx.id": (0x7E00F118, "S3C6410: chip and revision"),
    "ti81xx.idcode": (0x48140600, "DM814x, DM816x: device and revision"),
}

# A compatible string of the root, and what its chip's registers read as: for SoCs of QEMU's boards, as QEMU has it; for
# chips that the kernel refuses unless they say one thing, that (of the DA850, the later revision).
_IDENTITY = {
    "samsung,exynos4210": {0x10000000: 0x43210211},
    "ti,omap2420": {0x48014204: 0x5B5D902F, 0x48014208: 0x000254F0},
    "ti,da850": {0x01C14018: 0x1B7D102F},
    "samsung,s3c2416": {0x560000B0: 0x32450003},
    "samsung,s3c6400": {0x7E00FA1C: 0x36400000},
    "samsung,s3c6410": {0x7E00F118: 0x36410101},
}
# and what its processors say of themselves, where that is not what their model and the tree's reg say: MIDR (the same
# on a real Zynq), MPIDR (a real Highbank has the tree's)
_QEMU_MIDR = {"xlnx,zynq-7000": 0x413FC090}
_QEMU_MPIDR = {"calxeda,highbank": 0x80000000}
_QEMU_NEEDS_TWO = {"fsl,imx6q", "fsl,imx6dl", "fsl,imx6qp"}

# Where a tree tells the base of a Cortex-A5's or A9's private peripherals: compatible, offset of its registers.
_PRIVATE = (
    ("arm,cortex-a9-scu", 0x0000),
    ("arm,cortex-a5-scu", 0x0000),
    ("arm,cortex-a9-gic", 0x1000),
    ("arm,cortex-a9-twd-timer", 0x0600),
    ("arm,cortex-a5-twd-timer", 0x0600),
    ("arm,cortex-a9-global-timer", 0x0200),
    ("arm,cortex-a5-global-timer", 0x0200),
)


class Soc(NamedTuple):
    """One system on chip: `scu_base_pa` is what a Cortex-A5 or A9 reads as the base of its private peripherals.

    `registers` are words by physical address; `stated` are the addresses that a person gave a value.
    """

    scu_base_pa: int = VEXPRESS_SCU
    registers: Mapping[int, int] = {}
    stated: frozenset[int] = frozenset()

    def __deepcopy__(self, memo: dict[int, object]) -> Soc:
        return self

    def read32(self, pa: int, cpus: int) -> int:
        """The word at a physical address that is not RAM, on a board with `cpus` processors."""
        if pa not in self.registers and pa == self.scu_base_pa + SCU_CONFIG:
            return min(cpus, 4) - 1
        return self.registers.get(pa, 0)


def soc_for(tree: Tree, given: Iterable[tuple[str, int]] = (), cpus: int = 0) -> Soc:
    """The SoC that the tree describes, with the values in `given` (names of --soc). Raises InputError.

    A tree that does not tell where the private peripherals are has them where a Versatile Express has. An i.MX6 of
    which one of several processors is powered (`cpus`) is QEMU's, and that one has no private peripherals.
    """
    root = tree.board
    registers = dict(next((words for name, words in _IDENTITY.items() if name in root), {}))
    listed = len(tree.processors)
    scu = 0 if cpus == 1 < listed and not _QEMU_NEEDS_TWO.isdisjoint(root) else _private_base(tree)
    told: dict[str | int, int] = {}
    for name, value in given:
        place = name if name == "scu" else register_pa(name)
        if place in told:
            raise InputError(f"--soc {name}: given twice, {told[place]:#x} and {value:#x}; expected once")
        told[place] = value
    scu = told.pop("scu", scu)
    stated = {pa: value for pa, value in told.items() if isinstance(pa, int)}
    return Soc(scu, {**registers, **stated}, frozenset(stated))


def processor_of(tree: Tree, cpu: Cpu) -> Cpu:
    """`cpu` as it is in the SoC that the tree describes."""
    root = tree.board
    midr = next((value for name, value in _QEMU_MIDR.items() if name in root), cpu.midr)
    mpidr = next((value for name, value in _QEMU_MPIDR.items() if name in root), cpu.mpidr)
    return cpu._replace(midr=midr, mpidr=mpidr)


def register_pa(name: str) -> int:
    """The physical address of a register of REGISTERS, or of one written as an address. Raises InputError."""
    if name in REGISTERS:
        return REGISTERS[name][0]
    try:
        pa = int(name, 0)
    except ValueError:
        known = ", ".join(["scu", *REGISTERS])
        raise InputError(f"--soc {name}: no such register; expected {known}, or an address") from None
    if not 0 <= pa <= 0xFFFFFFFC or pa & 3:
        raise InputError(f"--soc {name}: expected the address of a 32-bit register below 4 GiB")
    return pa


def register_name(pa: int) -> str:
    """The name that --soc takes for the register at `pa`."""
    return next((name for name, (address, _) in REGISTERS.items() if address == pa), f"{pa:#x}")


# The first of _PRIVATE that the tree has. Its reg is taken in the cells of its parent and through the parents' ranges.
def _private_base(tree: Tree) -> int:
    for compatible, offset in _PRIVATE:
        for path in tree.compatible.get(compatible, ()):
            if (pa := _address(tree, path)) is not None:
                return pa - offset & 0xFFFFFFFF
    return VEXPRESS_SCU


def _address(tree: Tree, path: str) -> int | None:
    reg = tree.paths[path].get("reg") or b""
    address: int | None = None
    while path != "/":
        path = path.rpartition("/")[0] or "/"
        bus = tree.paths[path]
        acells, scells = _cell(bus, "#address-cells", 2), _cell(bus, "#size-cells", 1)
        if address is None:
            if not acells or len(reg) < 4 * acells:
                return None
            address = int.from_bytes(reg[: 4 * acells], "big")
        if path != "/":
            above = tree.paths[path.rpartition("/")[0] or "/"]
            address = _through(bus.get("ranges"), address, acells, _cell(above, "#address-cells", 2), scells)
            if address is None:
                return None
    return None if address is None else address & 0xFFFFFFFF


def _through(ranges: bytes | None, address: int, acells: int, above: int, scells: int) -> int | None:
    # the address on the bus above; an empty ranges changes nothing, without one nothing passes
    if not ranges:
        return None if ranges is None else address
    entry = 4 * (acells + above + scells)
    for at in range(0, len(ranges) - entry + 1, entry):
        parts = ranges[at : at + 4 * acells], ranges[at + 4 * acells : at + entry - 4 * scells]
        child, parent = (int.from_bytes(part, "big") for part in parts)
        size = int.from_bytes(ranges[at + entry - 4 * scells : at + entry], "big")
        if child <= address < child + size:
            return parent + address - child
    return None


def _cell(node: Node, name: str, default: int) -> int:
    value = node.get(name) or b""
    return int.from_bytes(value[:4], "big") if len(value) >= 4 else default
