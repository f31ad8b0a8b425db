"""A console before there are drivers, in the only page that the early fixmap holds (drivers/tty/serial/earlycon.c).

    earlycon=pl011,0x10009000        the device by name and address
    earlycon                         the device that /chosen stdout-path names

The kernel writes to the device's page through fixmap slot FIX_EARLYCON_MEM_BASE. early_fixmap_shutdown() maps that page
again, with a page table of its own.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from bootsim.errors import KernelPanic
from bootsim.inputs.earlycontable import earlycon_of_options
from bootsim.linux.arch.arm.asm.fixmap import FIX_EARLYCON_MEM_BASE, FIXMAP_PAGE_IO, fix_to_virt
from bootsim.linux.arch.arm.mm.mmu import set_fixmap
from bootsim.linux.drivers.of.fdt_address import of_flat_dt_translate_address
from bootsim.linux.include.linux.errno import EALREADY, EINVAL, ENODEV, ENOENT, ENXIO
from bootsim.linux.kernel.printk import KERN_INFO, KERN_WARNING, Console, printk, register_console, step
from bootsim.linux.lib.cmdline import EarlyParam, simple_strtoull
from bootsim.page import PAGE_SIZE
from bootsim.places import place_of

if TYPE_CHECKING:
    from bootsim.linux import Kernel
    from bootsim.linux.lib.fdt import FlatNode

UPIO_PORT, UPIO_MEM, UPIO_MEM32, UPIO_MEM32BE, UPIO_MEM16 = 0, 2, 3, 6, 7
_MMIO = {UPIO_MEM: "", UPIO_MEM16: "16", UPIO_MEM32: "32", UPIO_MEM32BE: "32be"}
_IOTYPES = {"mmio": UPIO_MEM, "mmio16": UPIO_MEM16, "mmio32": UPIO_MEM32, "mmio32be": UPIO_MEM32BE,
            "mmio32native": UPIO_MEM32, "io": UPIO_PORT}


class EarlyconId(NamedTuple):
    """struct earlycon_id: `iotype` is what the driver's setup() insists on, None if it takes what it is given."""

    name: str
    compatible: str
    iotype: int | None = None


class EarlyconDevice(Console):
    """struct earlycon_device with its console: `membase` is a va, `mapbase` and `iobase` are bus addresses."""

    def __init__(self) -> None:
        super().__init__("uart")
        self.options = ""
        self.iotype = UPIO_PORT
        self.mapbase = self.membase = self.iobase = 0


# Drivers whose setup() insists on a kind of access, by their entry's name and, where it matters, its compatible.
_SETUP_IOTYPES = {
    "mtk8250": UPIO_MEM32, "uniphier": UPIO_MEM32, "lpuart32": UPIO_MEM32,
    "lpuart32 fsl,ls1021a-lpuart": UPIO_MEM32BE, "lpuart32 ": UPIO_MEM32BE,
}  # fmt: skip


def earlycon_table(k: Kernel) -> list[EarlyconId]:
    """The early consoles that the build has, in link order; those its options compile in, where it does not say.

    Source: include/asm-generic/vmlinux.lds.h EARLYCON_TABLE()
    """
    if not k.build.config.SERIAL_EARLYCON:
        return []
    table = []
    for entry in k.build.earlycon or earlycon_of_options(k.build.config):
        name, _, compatible = entry.partition(" ")
        iotype = _SETUP_IOTYPES.get(f"{name} {compatible}", _SETUP_IOTYPES.get(name))
        table.append(EarlyconId(name, compatible, iotype))
    return table


def _device(k: Kernel) -> EarlyconDevice:
    if k.log.early_console_dev is None:
        k.log.early_console_dev = EarlyconDevice()
    return k.log.early_console_dev


def earlycon_map(k: Kernel, paddr: int) -> int:
    """Map the device's page (pa) in the fixmap; returns the va of `paddr`.

    Source: drivers/tty/serial/earlycon.c earlycon_map()
    """
    set_fixmap(k, FIX_EARLYCON_MEM_BASE, paddr & ~(PAGE_SIZE - 1), FIXMAP_PAGE_IO)
    return fix_to_virt(FIX_EARLYCON_MEM_BASE) + paddr % PAGE_SIZE


def _parse_options(device: EarlyconDevice, options: str) -> bool:
    # parse_options(), uart_parse_earlycon(): [TYPE,]ADDRESS[,OPTIONS]; False if it is none of that
    kind, comma, rest = options.partition(",")
    if comma and kind in _IOTYPES:
        device.iotype = _IOTYPES[kind]
    elif options.startswith("0x"):
        device.iotype, rest = UPIO_MEM, options
    else:
        return False
    addr = simple_strtoull(rest)[0] & 0xFFFFFFFF
    if device.iotype == UPIO_PORT:
        device.iobase = addr
    else:
        device.mapbase = addr
    _, comma, more = rest.partition(",")
    if comma:
        device.options = more.partition(" ")[0][:15]
    return True


def _enable(k: Kernel, match: EarlyconId) -> int:
    # earlycon_init(), the driver's setup(), earlycon_print_info(), register_console(); 0 or -ENODEV
    device = _device(k)
    stem = match.name.rstrip("0123456789")
    device.name, digits = stem, match.name[len(stem):]
    device.index = int(digits) if digits else device.index
    if device.iobase and not device.membase and "8250" not in match.name and match.name != "uart":
        ready = False
    else:
        ready = bool(device.membase or device.iobase or match.name == "smh")
    if ready and match.iotype is not None and not (match.iotype == UPIO_MEM32BE and device.iotype == UPIO_MEM32):
        device.iotype = match.iotype
    if ready and not device.membase and device.iobase:
        raise KernelPanic(None, f"earlycon: {match.name} at I/O port {device.iobase:#x}: no I/O ports are mapped so "
                          "early, and the first access faults with no vectors to take it")
    where = {"name": device.name, "index": device.index, "options": device.options}
    if device.iotype in _MMIO:
        printk(k, KERN_INFO, "earlycon: {name}{index} at MMIO{type} {mapbase:#010x} (options '{options}')",
               func="earlycon_print_info", type=_MMIO[device.iotype], mapbase=device.mapbase, **where)
    else:
        printk(k, KERN_INFO, "earlycon: {name}{index} at I/O port {iobase:#x} (options '{options}')",
               func="earlycon_print_info", iobase=device.iobase, **where)
    if not ready:
        step(k, "cause: cmdline: earlycon={name} gives no address of the device: expected earlycon={name},ADDRESS",
             func="register_earlycon", name=match.name)
        return -ENODEV
    register_console(k, device)
    return 0


def setup_earlycon(k: Kernel, buf: str) -> int:
    """Register the console named by `NAME[,TYPE],ADDRESS[,OPTIONS]`. Returns 0 or a negative errno.

    Source: drivers/tty/serial/earlycon.c setup_earlycon(), register_earlycon()
    Differs: the device is not modelled; it is taken to be at the address and to answer.
    """
    if not buf:
        return -EINVAL
    device = _device(k)
    if device.enabled:
        return -EALREADY
    table = earlycon_table(k)
    for match in sorted(table, key=lambda entry: bool(entry.compatible)):
        if buf == match.name or buf.startswith(match.name + ","):
            _parse_options(device, buf[len(match.name) + 1:])
            if device.mapbase:
                device.membase = earlycon_map(k, device.mapbase)
            return _enable(k, match)
    return -ENOENT


def param_setup_earlycon(k: Kernel, arg: str | None) -> int:
    """earlycon[=DEVICE]; console=DEVICE comes here too. Returns 0 or a negative errno.

    Source: drivers/tty/serial/earlycon.c param_setup_earlycon()
    """
    from bootsim.linux.drivers.of.fdt import early_init_dt_scan_chosen_stdout

    if arg is None:
        return early_init_dt_scan_chosen_stdout(k)
    err = setup_earlycon(k, arg)
    return 0 if err in (-ENOENT, -EALREADY) else err


EARLY_PARAMS = (EarlyParam("earlycon", param_setup_earlycon, ("SERIAL_EARLYCON",)),)


def of_setup_earlycon(k: Kernel, match: EarlyconId, node: FlatNode, options: str | None) -> int:
    """Register the console of a node of the flat tree. Returns 0 or a negative errno.

    Source: drivers/tty/serial/earlycon.c of_setup_earlycon()
    """
    device = _device(k)
    device.iotype = UPIO_MEM
    addr = of_flat_dt_translate_address(k, node)
    if addr is None:
        printk(k, KERN_WARNING, "earlycon: [{name}] bad address", name=match.name)
        step(k, "cause: {place}: no address that the ranges above it lead to", place=place_of(k, node.path, "reg"))
        return -ENXIO
    device.mapbase = (addr + (node.be32_to_cpup("reg-offset") or 0)) & 0xFFFFFFFF
    device.membase = earlycon_map(k, device.mapbase)
    width = node.be32_to_cpup("reg-io-width")
    if width is not None:
        big = "big-endian" in node.first
        kind = {1: UPIO_MEM, 2: UPIO_MEM16, 4: UPIO_MEM32BE if big else UPIO_MEM32}.get(width)
        if kind is None:
            printk(k, KERN_WARNING, "earlycon: [{name}] unsupported reg-io-width", name=match.name)
            step(k, "cause: {place} is {width}, expected 1, 2 or 4", place=place_of(k, node.path, "reg-io-width"),
                 width=width)
            return -EINVAL
        device.iotype = kind
    if options is not None:
        device.options = options[:15]
    return _enable(k, match)
