"""The machine descriptors of a build: the boards that a kernel knows by name (struct machine_desc).

The linker gathers them between __arch_info_begin and __arch_info_end. On 32-bit ARM without LPAE:

    word   0 nr   1 name   2 atag_offset   3 dt_compat   4 nr_irqs  [ dma_zone_size, with ZONE_DMA ]
           5 video_start   6 video_end   7 reserve_lp   8 reboot_mode   9 l2c_aux_val   10 l2c_aux_mask
           11 l2c_write_sec   12 smp   13 smp_init   14 fixup   15 dt_fixup   16 pv_fixup   17 reserve   18 map_io
           19 init_early   20 init_irq   21 init_time   22 init_machine   23 init_late
         [ handle_irq, with GENERIC_IRQ_MULTI_HANDLER ]   24 restart
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from bootsim.errors import InputError
from bootsim.inputs.build import MachineDesc

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from bootsim.inputs.kconfig import Kconfig
    from bootsim.inputs.vmlinux import Vmlinux

_PREFIX = "__mach_desc_"
_HOOKS = {12: "smp", 13: "smp_init", 15: "dt_fixup", 16: "pv_fixup", 17: "reserve", 18: "map_io", 19: "init_early"}

# Those that a System.map, which has only their names, is enough for.
_KNOWN = {
    "GENERIC_DT": MachineDesc(symbol="GENERIC_DT", name="Generic DT based system", dt_compat=""),
    "VEXPRESS_DT": MachineDesc(
        symbol="VEXPRESS_DT",
        name="ARM-Versatile Express",
        dt_compat="arm,vexpress",
        smp="vexpress_smp_dt_ops",
        smp_init="vexpress_smp_init_ops",
    ),
}


def machines_of_map(symbols: Mapping[str, Sequence[int]]) -> tuple[tuple[MachineDesc, ...], tuple[str, ...]]:
    """The machines of a symbol table, in memory's order, and the names of those of which only the symbol is known."""
    found = _in_order(symbols)
    machines = [_KNOWN.get(symbol) or MachineDesc(symbol=symbol, name=symbol, dt_compat="") for symbol in found]
    return tuple(machines), tuple(f"machine {symbol}" for symbol in found if symbol not in _KNOWN)


def machines_of_image(vmlinux: Vmlinux, kconfig: Kconfig) -> tuple[MachineDesc, ...]:
    """The machines of a kernel image, in memory's order. Raises InputError when they do not lie as .config says."""
    zone_dma = kconfig.is_on("ZONE_DMA")
    words = 25 + zone_dma + kconfig.is_on("GENERIC_IRQ_MULTI_HANDLER")
    symbols = vmlinux.symbols
    begin, end = (symbols.get(name, [0])[0] for name in ("__arch_info_begin", "__arch_info_end"))
    in_order = _in_order(symbols)
    if end - begin != 4 * words * len(in_order):
        raise InputError(
            f"{vmlinux.path}: {len(in_order)} machine descriptors in {end - begin:#x} bytes, expected {4 * words:#x} "
            f"each by {kconfig.path}: the .config of another build"
        )
    functions = {address: name for name, found in symbols.items() for address in found}
    return tuple(
        _read_machine(vmlinux, functions, symbol, begin + 4 * words * index, zone_dma)
        for index, symbol in enumerate(in_order)
    )


# Names without the prefix, and without the number the compiler gives to one that is local to a function.
def _in_order(symbols: Mapping[str, Sequence[int]]) -> list[str]:
    descriptors = [(found[0], name) for name, found in symbols.items() if name.startswith(_PREFIX)]
    return [name.removeprefix(_PREFIX).split(".")[0] for _, name in sorted(descriptors)]


def _read_machine(vmlinux: Vmlinux, functions: dict[int, str], symbol: str, at: int, zone_dma: bool) -> MachineDesc:
    def word(index: int) -> int:
        return vmlinux.read_word(at + 4 * (index + (zone_dma and index > 4)))

    hooks = {}
    for index, hook in _HOOKS.items():
        address = word(index)
        if address:
            hooks[hook] = functions.get(address) or functions.get(address & ~1) or f"{address:#x}"
    return MachineDesc(
        symbol=symbol,
        name=vmlinux.read_string(word(1)),
        dt_compat=" ".join(_string_list(vmlinux, word(3))),
        nr=word(0),
        dma_zone_size=vmlinux.read_word(at + 20) if zone_dma else 0,
        **hooks,
    )


# A NULL-terminated array of strings; no array is an empty one.
def _string_list(vmlinux: Vmlinux, at: int) -> list[str]:
    strings = []
    while at and (pointer := vmlinux.read_word(at)):
        strings.append(vmlinux.read_string(pointer))
        at += 4
    return strings
