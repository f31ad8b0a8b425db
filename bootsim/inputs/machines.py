"""The machine descriptors of a build: the boards that a kernel knows by name (struct machine_desc).

The linker gathers them between __arch_info_begin and __arch_info_end. On 32-bit ARM without LPAE:

    word   0 nr   1 name   2 atag_offset   3 dt_compat   4 nr_irqs  [ dma_zone_size, with ZONE_DMA ]
           5 video_start   6 video_end   7 reserve_lp   8 reboot_mode   9 l2c_aux_val   10 l2c_aux_mask
           11 l2c_write_sec   12 smp   13 smp_init   14 fixup   15 dt_fixup   16 pv_fixup   17 reserve   18 map_io
           19 init_early   20 init_irq   21 init_time   22 init_machine   23 init_late
         [ handle_irq, with GENERIC_IRQ_MULTI_HANDLER ]   24 restart
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from bootsim.errors import InputError
from bootsim.inputs.build import MachineDesc
from bootsim.inputs.machinetable import FURTHER_OPTIONS, KNOWN_MACHINES

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from bootsim.inputs.kconfig import Kconfig
    from bootsim.inputs.vmlinux import Vmlinux

_PREFIX = "__mach_desc_"
_HOOKS = {12: "smp", 13: "smp_init", 15: "dt_fixup", 16: "pv_fixup", 17: "reserve", 18: "map_io", 19: "init_early"}


def machines_of_map(symbols: Mapping[str, Sequence[int]], kconfig: Kconfig) -> tuple[list[MachineDesc], list[str]]:
    """The machines of a symbol table, in memory's order, and the names of those that 5.10's source does not have."""
    descriptors = _in_order(symbols)
    candidates = {symbol: _compiled(symbol, kconfig) for _, symbol in descriptors}
    machines, unknown = [], []
    for _, symbol in descriptors:
        if candidates[symbol]:
            machines.append(candidates[symbol].pop(0))
        else:
            machines.append(MachineDesc(symbol=symbol, name=symbol, dt_compat=""))
            unknown.append(f"machine {symbol}")
    return machines, unknown


# What the source has under this name, as the options leave it; two files give the same name to theirs in three places.
def _compiled(symbol: str, kconfig: Kconfig) -> list[MachineDesc]:
    known = [known for known in KNOWN_MACHINES if known.machine.symbol == symbol]
    if len(known) > 1:
        known = [each for each in known if kconfig.is_on(each.option)]
    return [_without_missing(each.machine, kconfig) for each in known]


def _without_missing(machine: MachineDesc, kconfig: Kconfig) -> MachineDesc:
    def there(word: str) -> bool:
        return word not in FURTHER_OPTIONS or kconfig.is_on(FURTHER_OPTIONS[word])

    changes: dict[str, Any] = {"dt_compat": " ".join(filter(there, machine.dt_compat.split()))}
    for hook in _HOOKS.values():
        function = getattr(machine, hook)
        if function and (not there(function) or (hook in ("smp", "smp_init") and not kconfig.is_on("SMP"))):
            changes[hook] = None
    if not kconfig.is_on("ZONE_DMA"):
        changes["dma_zone_size"] = 0
    return machine.replace(**changes)


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
    functions = _function_names(symbols)
    return tuple(
        _read_machine(vmlinux, functions, symbol, begin + 4 * words * index, zone_dma)
        for index, (_, symbol) in enumerate(in_order)
    )


# Functions of one body may have been given one address; the source's name for a hook is then the one that is meant.
def _function_names(symbols: Mapping[str, Sequence[int]]) -> dict[int, str]:
    hooks = {getattr(known.machine, hook) for known in KNOWN_MACHINES for hook in _HOOKS.values()}
    names: dict[int, str] = {}
    for name, found in symbols.items():
        for address in found:
            if address not in names or name in hooks:
                names[address] = name
    return names


# Addresses and names: without the prefix, and without the number the compiler gives to one that is local to a function.
def _in_order(symbols: Mapping[str, Sequence[int]]) -> list[tuple[int, str]]:
    return sorted(
        (address, name.removeprefix(_PREFIX).split(".")[0])
        for name, found in symbols.items()
        if name.startswith(_PREFIX)
        for address in set(found)
    )


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
