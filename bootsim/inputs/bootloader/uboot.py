"""U-Boot 2023.01 booting a zImage (bootz) or an image of type "kernel" (bootm): boot/image-fdt.c, boot/image-board.c.

The initrd goes as high as it fits below bootm_low + bootm_size, unless initrd_high says otherwise; only then U-Boot
reads what the tree reserves, and puts the tree below the initrd, unless fdt_high says otherwise:

    bootm_low                                                    kept for U-Boot itself    end of RAM
    | kernel ... | free            | tree | initrd | stack, malloc, U-Boot, its page table |

Then it writes its environment and the RAM that it found into the tree. `settings` are NAME=VALUE: variables of its
environment, hexadecimal as there, and what else decides (`SETTINGS`).
"""

from __future__ import annotations

import string
from typing import TYPE_CHECKING, NamedTuple

from bootsim.errors import InputError
from bootsim.inputs.bootloader.handover import TOP, Handover, c_string, root_cells, to_cells
from bootsim.inputs.bootloader.lmb import Lmb
from bootsim.inputs.bootloader.placement import no_memory, ram_base, real_banks
from bootsim.inputs.edits import Edit, add_node, set_property
from bootsim.inputs.libfdt import Buffer, EditError
from bootsim.inputs.tree import cells, number
from bootsim.page import PAGE_SIZE, page_align

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from bootsim.inputs.bootloader.handover import Request
    from bootsim.inputs.tree import Node, Tree

VARIABLES = ("fdt_high", "initrd_high", "bootm_low", "bootm_size", "bootm_mapsize", "serial#")
SETTINGS = {
    "top": "where what U-Boot keeps for itself begins: the starts of bdinfo's reserved regions, separated by commas",
    "version": "what it writes into /chosen u-boot,version",
    "zimage": "SIZE@ADDR, where the zImage lies while things are placed",
    "pad": "CONFIG_SYS_FDT_PAD, hexadecimal",
    "regions": "CONFIG_LMB_MAX_REGIONS, hexadecimal",
}
_TEXTS = ("serial#", "version", "zimage", "top")
_OWN_BYTES = 34 << 20  # with the default stack and heap of 16 MiB each
_IN_PLACE = 0xFFFFFFFF
_FDT_PAD, _LMB_MAX_REGIONS = 0x3000, 8
_SHRUNK_SPARE = 5 * 16  # fdt_shrink_to_minimum() leaves room for five reservations
_INITRD_SPARE = 0x80
_ZRELADDR_MASK = 0xF8000000


def load(request: Request) -> Handover:
    """Place initrd and tree, and edit the tree, as do_bootz() does.

    Raises InputError where U-Boot gives up.
    Differs: what a board's own code (ft_board_setup(), ft_system_setup()), PSCI and OP-TEE write is not known and not
    written. Only the first bank takes images.
    """
    tree = request.tree
    settings = _settings(request.uboot)
    banks = real_banks(request)
    if not banks:
        raise no_memory(tree)
    boot = _Boot(request, settings, banks)
    initrd_pa = boot.place_initrd()
    boot.reserve_tree_regions()
    dtb_pa, room = boot.place_tree()
    edits: list[Edit] = []
    try:
        buffer = Buffer(tree, room)
        for edit in _edits(request, settings, banks):
            buffer.make(edit)
            edits.append(edit)
        edits += _shrink(buffer, tree, dtb_pa)
        if initrd_pa is not None:
            buffer.resize(len(buffer.blob()) + _INITRD_SPARE)
            for edit in _initrd_edits(request, initrd_pa):
                buffer.make(edit)
                edits.append(edit)
    except EditError as error:
        raise InputError(f"{tree.name}: U-Boot could not edit this tree: {error}; expected a larger pad= "
                         "(CONFIG_SYS_FDT_PAD)") from None
    size = request.initrd.size if request.initrd else 0
    return Handover(buffer.blob(), dtb_pa, _kernel_pa(request, settings, banks), banks, initrd_pa, size, tuple(edits),
                    (*boot.told, *map(_told, edits)))


class _Settings(NamedTuple):
    """What the environment and the build of U-Boot say: the numbers by name, where they are given, and texts."""

    numbers: Mapping[str, int]
    serial: str | None
    ethernet: Mapping[str, bytes]
    version: str
    zimage: tuple[int, int] | None  # address, bytes
    tops: tuple[int, ...]


def _settings(words: tuple[str, ...]) -> _Settings:
    given: dict[str, str] = {}
    for word in words:
        name, equals, value = word.partition("=")
        known = name in VARIABLES or name in SETTINGS or _is_ethaddr(name)
        if not equals or not known:
            names = ", ".join((*VARIABLES, "ethaddr", "ethNaddr", *SETTINGS))
            what = f"{name!r} decides nothing of memory" if equals else "it has no ="
            raise InputError(f"--uboot {word}: {what}, expected NAME=VALUE with one of {names}; "
                             "the kernel's command line is --cmdline")
        if name in given:
            raise InputError(f"--uboot {word}: {name} is given twice, expected once")
        given[name] = value
    hexes = {name: _hex(name, given[name]) for name in given if name not in _TEXTS and not _is_ethaddr(name)}
    zimage = None
    if "zimage" in given:
        size, _, base = given["zimage"].partition("@")
        zimage = (_hex("zimage", base), _hex("zimage", size))
    return _Settings(
        hexes, given.get("serial#"), {name: _mac(name, value) for name, value in given.items() if _is_ethaddr(name)},
        given.get("version", "2023.01"), zimage,
        tuple(_hex("top", text) for text in given["top"].split(",")) if "top" in given else (),
    )  # fmt: skip


def _is_ethaddr(name: str) -> bool:
    middle = name.removeprefix("eth").removesuffix("addr")
    return name.startswith("eth") and name.endswith("addr") and (not middle or middle.isdecimal())


def _hex(name: str, text: str) -> int:
    # as hextoul(): what follows the digits does not count, and no digits are 0
    digits = text.lower().removeprefix("0x")
    length = next((i for i, digit in enumerate(digits) if digit not in "0123456789abcdef"), len(digits))
    if not length and name not in ("initrd_high", "fdt_high"):
        raise InputError(f"--uboot {name}={text}: expected a hexadecimal number, as in U-Boot's environment")
    return int(digits[:length] or "0", 16) & 0xFFFFFFFF


def _mac(name: str, text: str) -> bytes:
    parts = text.split(":")
    if len(parts) != 6 or not all(0 < len(part) <= 2 and set(part) <= set(string.hexdigits) for part in parts):
        raise InputError(f"--uboot {name}={text}: expected an address such as 02:00:00:00:00:01")
    return bytes(int(part, 16) for part in parts)


def _kernel_pa(request: Request, settings: _Settings, banks: tuple[tuple[int, int], ...]) -> int:
    # where the zImage unpacks itself to: the start of its 128 MiB
    if request.load_pa is not None:
        return request.load_pa
    base = ram_base(request, banks) if settings.zimage is None else settings.zimage[0] & _ZRELADDR_MASK
    return base + request.text_offset


class _Boot:
    """One bootz: what is free, and what was said."""

    def __init__(self, request: Request, settings: _Settings, banks: tuple[tuple[int, int], ...]) -> None:
        self.request, self.bank = request, banks[0]
        self.given = given = settings.numbers
        self.told: list[str] = []
        base, size = self.bank
        size = min(size, TOP - base)
        self.low = given.get("bootm_low", base)
        self.size = given.get("bootm_size", size - (self.low - base))
        self.mapsize = given.get("bootm_mapsize", self.size)
        self.lmb = Lmb(self.low, self.size, given.get("regions", _LMB_MAX_REGIONS))
        self._reserve_own(settings.tops, base + size)
        if settings.zimage is not None:
            self.lmb.reserve(*settings.zimage)

    def _reserve_own(self, tops: tuple[int, ...], ram_top: int) -> None:
        # arch_lmb_reserve(), efi_lmb_reserve(): the second's regions grow into the first's
        if not tops:
            top = max(self.bank[0], ram_top - _OWN_BYTES)
            self.told.append(f"what U-Boot keeps for itself is not known: taken to begin at {top:#x}, "
                             f"{(ram_top - top) >> 20} MiB below the end of RAM; bdinfo tells it (--uboot top=ADDR)")
            tops = (top,)
        self.lmb.reserved += [[top, ram_top - top, 0] for top in sorted(tops) if top < ram_top]

    def place_initrd(self) -> int | None:
        """Where the initrd comes to lie. Source: U-Boot boot/image-board.c boot_ramdisk_high()."""
        initrd = self.request.initrd
        if initrd is None:
            return None
        high = self.given.get("initrd_high")
        if initrd.pa is not None and high != _IN_PLACE:
            raise InputError("--initrd FILE@ADDR: U-Boot moves an initrd, expected FILE alone, or "
                             "--uboot initrd_high=ffffffff")
        if high == _IN_PLACE:
            if initrd.pa is None:
                raise InputError("initrd_high=ffffffff leaves the initrd where it was loaded, expected "
                                 "--initrd FILE@ADDR")
            self.lmb.reserve(initrd.pa, initrd.size)
            return initrd.pa
        pa = self.lmb.alloc_base(initrd.size, PAGE_SIZE, self.mapsize + self.low if high is None else high)
        if pa is None:
            raise self._no_room("ramdisk - allocation error", initrd.size)
        return pa

    def reserve_tree_regions(self) -> None:
        """Enter what the tree reserves. Source: U-Boot boot/image-fdt.c boot_fdt_add_mem_rsv_regions()."""
        tree = self.request.tree
        for base, size in tree.reservations:
            self._reserve("/memreserve/", base, size)
        for path, node in _reserved_nodes(tree):
            region = _first_reg(tree, node)
            if region is not None and node.strings("status")[:1] in ([], ["okay"], ["ok"]):
                self._reserve(path, *region, nomap=node.get("no-map") is not None)

    def _reserve(self, what: str, base: int, size: int, *, nomap: bool = False) -> None:
        if not self.lmb.reserve(base, size, nomap=nomap):
            self.told.append(f"U-Boot: ERROR: reserving fdt memory region failed (addr={base:x} size={size:x} "
                             f"flags={4 if nomap else 0:x}): {what} overlaps what is reserved already, or is one too "
                             "many, and U-Boot may put things there")

    def place_tree(self) -> tuple[int, int]:
        """Where the tree comes to lie, and its room. Source: U-Boot boot/image-fdt.c boot_relocate_fdt()."""
        size = len(self.request.tree.blob) + self.given.get("pad", _FDT_PAD)
        high = self.given.get("fdt_high")
        if self.request.dtb_pa is not None and high != _IN_PLACE:
            raise InputError("--dtb-addr: U-Boot moves a tree, expected none, or --uboot fdt_high=ffffffff")
        if high == _IN_PLACE:
            if self.request.dtb_pa is None:
                raise InputError("fdt_high=ffffffff leaves the tree where it was loaded, expected --dtb-addr")
            self.lmb.reserve(self.request.dtb_pa, size)
            return self.request.dtb_pa, size
        if high is None:
            base, length = self.bank
            high = base + min(length, self.mapsize)
        pa = self.lmb.alloc_base(size, PAGE_SIZE, high)
        if pa is None:
            raise self._no_room("device tree - allocation error", size)
        return pa, size

    def _no_room(self, words: str, size: int) -> InputError:
        taken = ", ".join(f"[{base:#x}, {base + length:#x})" for base, length, _ in self.lmb.reserved)
        return InputError(f"U-Boot: {words}: no {size:#x} bytes free in [{self.low:#x}, {self.low + self.size:#x}) "
                          f"but for {taken}; expected more RAM, or other bootm_low, bootm_size, fdt_high, initrd_high")


def _reserved_nodes(tree: Tree) -> Iterator[tuple[str, Node]]:
    parent = tree.lookup("/reserved-memory")
    if parent is not None:
        for node in tree.paths[parent].nodes:
            yield f"{parent}/{node.name}", node


def _first_reg(tree: Tree, node: Node) -> tuple[int, int] | None:
    # fdt_get_resource(): the first entry, with the cells of /reserved-memory
    parent = tree.paths[tree.lookup("/reserved-memory") or "/"]
    acells, scells = (number(cells(parent.get(name) or default)) for name, default in
                      (("#address-cells", b"\0\0\0\2"), ("#size-cells", b"\0\0\0\1")))  # fmt: skip
    words = cells(node.get("reg") or b"")
    if len(words) < acells + scells or not words:
        return None
    return number(words[:acells]), number(words[acells : acells + scells])


# -------------------------------------------------------------------- the tree


def _edits(request: Request, settings: _Settings, banks: tuple[tuple[int, int], ...]) -> Iterator[Edit]:
    # fdt_root(), fdt_chosen(), fdt_fixup_memory_banks(), fdt_fixup_ethernet()
    tree = request.tree
    if settings.serial is not None:
        yield set_property("/", "serial-number", c_string(settings.serial))
    chosen = tree.chosen or "/chosen"
    if tree.chosen is None:
        yield add_node(chosen)
    if request.cmdline is not None:
        yield set_property(chosen, "bootargs", c_string(request.cmdline))
    yield set_property(chosen, "u-boot,version", c_string(settings.version))
    memory = tree.lookup("/memory")
    if memory is None:
        memory = "/memory"
        yield add_node(memory)
    yield set_property(memory, "device_type", b"memory\0")
    acells, scells = root_cells(tree)
    yield set_property(memory, "reg", b"".join(to_cells(tree, (acells, base), (scells, size)) for base, size in banks))
    yield from _ethernet_edits(tree, settings)


def _ethernet_edits(tree: Tree, settings: _Settings) -> Iterator[Edit]:
    aliases = tree.paths.get(tree.lookup("/aliases") or "")
    for name, value in aliases.props if aliases is not None else ():
        digits = name.removeprefix("ethernet")
        if digits == name or not (digits.isdecimal() or not digits):
            continue
        address = settings.ethernet.get("ethaddr" if int(digits or "0") == 0 else f"eth{int(digits)}addr")
        path = tree.lookup(value.partition(b"\0")[0].decode("latin-1"))
        if address is not None and path is not None:
            if tree.paths[path].get("mac-address") is not None:
                yield set_property(path, "mac-address", address)
            yield set_property(path, "local-mac-address", address)


def _shrink(buffer: Buffer, tree: Tree, dtb_pa: int) -> list[Edit]:
    # fdt_shrink_to_minimum(): the blob ends on a page; a reservation of it, if the tree has one, is brought up to date
    old = next((entry for entry in tree.reservations if entry[0] == dtb_pa), None)
    edits = []
    if old is not None:
        edits.append(Edit("unreserve", "/", reservation=old))
        buffer.make(edits[0])
    offset = dtb_pa % PAGE_SIZE
    size = page_align(buffer.used + _SHRUNK_SPARE + offset) - offset
    buffer.resize(size)
    if old is not None:
        edits.append(Edit("reserve", "/", reservation=(dtb_pa, size)))
        buffer.make(edits[1])
    return edits


def _initrd_edits(request: Request, pa: int) -> Iterator[Edit]:
    # fdt_initrd()
    tree, size = request.tree, request.initrd.size if request.initrd else 0
    old = next((entry for entry in tree.reservations if entry[0] == pa), None)
    if old is not None:
        yield Edit("unreserve", "/", reservation=old)
    yield Edit("reserve", "/", reservation=(pa, size))
    count = 2 if root_cells(tree)[0] == 2 else 1
    for name, value in (("start", pa), ("end", pa + size)):
        yield set_property(tree.chosen or "/chosen", f"linux,initrd-{name}", to_cells(tree, (count, value)))


def _told(edit: Edit) -> str:
    return f"U-Boot: {edit}"
