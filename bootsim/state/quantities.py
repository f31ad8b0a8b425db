"""What can be asked of a boot by name: one table of quantities for sweeps, checks and recorded boots.

    lowmem  cma.default.base  zone.Normal.managed  warning  verdict  vmalloc_limit ...

A name is one of TABLE, or of a family of FAMILIES (`cma.<area>.base`), or that of a fact the boot recorded. Numbers are
bytes, pages, addresses or counts; the texts are named in TEXTS. A name with other characters than letters, digits and
`_ . , @ : / -` is written in backquotes: `hash.Dentry cache.entries`.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, NamedTuple

from bootsim.errors import BootsimError
from bootsim.linux.arch.arm.asm.memory import VMALLOC_END
from bootsim.linux.kernel.printk import KERN_ERR, KERN_WARNING
from bootsim.linux.mm.memblock import MEMBLOCK_NOMAP
from bootsim.page import PAGE_SHIFT, PAGE_SIZE
from bootsim.sizes import parse_number
from bootsim.state.coherent import largest_coherent_pool
from bootsim.state.overlaps import overlaps

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from bootsim.linux import Kernel
    from bootsim.linux.kernel.printk import Record
    from bootsim.linux.mm.cma import Cma

MIB = 1 << 20


class UnknownQuantityError(BootsimError):
    """A name that means nothing in this boot. `near` are names that do and look alike."""

    def __init__(self, name: str, near: tuple[str, ...] = (), why: str = "") -> None:
        hint = f"; did you mean {' or '.join(near)}?" if near else ""
        super().__init__(why or f"no quantity {name!r} in this boot{hint}")
        self.name = name
        self.near = near


class Quantity(NamedTuple):
    """One row of the table. `rests_on` names the facts whose roots decide it, for telling where it comes from."""

    name: str
    unit: str
    meaning: str
    value: Callable[[Kernel], int | str]
    rests_on: tuple[str, ...] = ()


def _ram(k: Kernel, start: int, end: int) -> int:
    # bytes of mapped RAM within [start, end)
    regions = (r for r in k.mm.memblock.memory.regions if not r.flags & MEMBLOCK_NOMAP)
    return sum(max(0, min(r.base + r.size, end) - max(r.base, start)) for r in regions)


def _after_paging(k: Kernel, value: int) -> int:
    if not k.mm.high_memory:
        raise UnknownQuantityError("", why="not decided before the kernel died")
    return value


def _zones(k: Kernel) -> list[dict[str, Any]]:
    if not hasattr(k.mm, "pgdat"):
        raise UnknownQuantityError("", why="no zones before the kernel died")
    return k.zones


def _total(field: str) -> Callable[[Kernel], int]:
    return lambda k: sum(zone[field] for zone in _zones(k))


def _free_pages(k: Kernel) -> int:
    # the zones' own counters: the lists of every free block would be made for nothing
    from bootsim.linux.mm.page_alloc import nr_free_pages

    if not hasattr(k.mm, "pgdat"):
        raise UnknownQuantityError("", why="no zones before the kernel died")
    return nr_free_pages(k)


def messages(k: Kernel, level: int) -> list[Record]:
    """The kernel's own messages of that log level or worse (level numbers fall as things get worse)."""
    return [record for record in k.log.records if record.kernel and record.level <= level]


def verdict(k: Kernel) -> str:
    """How a boot ended: "ok", "warnings" (it booted, with complaints) or "panic"."""
    if k.panicked is not None:
        return "panic"
    return "warnings" if messages(k, KERN_WARNING) else "ok"


def _digest(_k: Kernel) -> str:
    raise UnknownQuantityError("", why="the boot's stages were not kept")


_LIMIT = ("arm_lowmem_limit",)
_PAGES = ("totalram_pages", "nr_all_pages", "arm_lowmem_limit")

TABLE: tuple[Quantity, ...] = (
    Quantity("lowmem", "bytes", "RAM in the linear mapping",
             lambda k: _after_paging(k, _ram(k, 0, k.mm.arm_lowmem_limit)), _LIMIT),
    Quantity("highmem", "bytes", "RAM beyond the linear mapping",
             lambda k: _after_paging(k, _ram(k, k.mm.arm_lowmem_limit, 1 << 32)), _LIMIT),
    Quantity("lowmem.limit", "pa", "end of the linear mapping, physical",
             lambda k: _after_paging(k, k.mm.arm_lowmem_limit), _LIMIT),
    Quantity("memory", "bytes", "RAM the kernel knows of", lambda k: _ram(k, 0, 1 << 32), ("bank0.size",)),
    Quantity("memory.start", "pa", "lowest RAM", lambda k: k.mm.memblock.memory.regions[0].base, ("bank0.base",)),
    Quantity("memory.end", "pa", "end of the highest RAM",
             lambda k: k.mm.memblock.memory.regions[-1].base + k.mm.memblock.memory.regions[-1].size,
             ("bank0.base", "bank0.size")),
    Quantity("reserved", "bytes", "reserved in memblock at the end of boot",
             lambda k: sum(r.size for r in k.mm.memblock.reserved.regions)),
    Quantity("free_pages", "pages", "free in the buddy allocator at the end of boot, per-cpu lists left out",
             _free_pages, _PAGES),
    Quantity("managed_pages", "pages", "given to the buddy allocator, all zones", _total("managed"), _PAGES),
    Quantity("present_pages", "pages", "of RAM in all zones", _total("present"), ("nr_all_pages", *_LIMIT)),
    Quantity("reserved_pages", "pages", "present, and not given to the allocator",
             lambda k: _total("present")(k) - _total("managed")(k), _PAGES),
    Quantity("vmalloc.start", "va", "start of the vmalloc area",
             lambda k: _after_paging(k, k.mm.layout.VMALLOC_START), ("VMALLOC_START",)),
    Quantity("vmalloc.end", "va", "end of the vmalloc area", lambda _: VMALLOC_END),
    Quantity("vmalloc.size", "bytes", "room in the vmalloc area",
             lambda k: max(0, VMALLOC_END - _after_paging(k, k.mm.layout.VMALLOC_START)), ("VMALLOC_START",)),
    Quantity("cma", "bytes", "in all CMA areas", lambda k: k.mm.totalcma_pages << PAGE_SHIFT, ("cma.default.size",)),
    Quantity("cma.areas", "count", "CMA areas", lambda k: len(k.mm.cma_areas)),
    Quantity("coherent_pool.max", "bytes", "the largest coherent_pool= that the kernel can give",
             lambda k: largest_coherent_pool(k, _zones(k)), ("cma.default.size",)),
    Quantity("high_memory", "va", "end of the linear mapping", lambda k: _after_paging(k, k.mm.high_memory), _LIMIT),
    Quantity("overlap", "count", "pairs that claim the same RAM: banks, reserved regions, kernel, tree, initrd",
             lambda k: len(overlaps(k))),
    Quantity("warning", "count", "kernel messages of level warning or worse", lambda k: len(messages(k, KERN_WARNING))),
    Quantity("error", "count", "kernel messages of level error or worse", lambda k: len(messages(k, KERN_ERR))),
    Quantity("panic", "count", "1 when the kernel died", lambda k: int(k.panicked is not None)),
    Quantity("log.lines", "count", "lines of the kernel's own log",
             lambda k: sum(r.text.count("\n") + 1 for r in k.log.records if r.kernel)),
    Quantity("smp", "count", "processors powered", lambda k: k.machine.cpus),
    Quantity("verdict", "text", "ok, warnings or panic", verdict),
    Quantity("digest", "text", "of the whole boot, as `bootsim digest` prints it", _digest),
    Quantity("build", "text", "name of the kernel build", lambda k: k.build.name),
    Quantity("cmdline", "text", "the command line the kernel got", lambda k: k.boot_command_line),
)  # fmt: skip

# Families: <what> stands for the name of the thing.
FAMILIES: tuple[tuple[str, str, str], ...] = (
    ("cma.<area>.base", "pa", "a CMA area by its name; `default` is the one devices without one of their own use"),
    ("cma.<area>.size", "bytes", "its size"),
    ("cma.<area>.end", "pa", "its end"),
    ("reserved.<node>.base", "pa", "a region of /reserved-memory by its node's name, `vram@4c000000` or `vram`"),
    ("reserved.<node>.size", "bytes", "its size"),
    ("reserved.<node>.end", "pa", "its end"),
    ("zone.<zone>.start", "pa", "Normal, HighMem, Movable or DMA: its lowest address"),
    ("zone.<zone>.end", "pa", "its end"),
    ("zone.<zone>.size", "bytes", "its present pages, in bytes"),
    ("zone.<zone>.spanned", "pages", "pages between start and end"),
    ("zone.<zone>.present", "pages", "pages that are RAM"),
    ("zone.<zone>.managed", "pages", "pages the allocator was given"),
    ("zone.<zone>.free", "pages", "pages on its free lists"),
)

BY_NAME = {quantity.name: quantity for quantity in TABLE}
TEXTS = frozenset(quantity.name for quantity in TABLE if quantity.unit == "text")
_FAMILY = re.compile(r"(cma|reserved|zone)\.(.+)\.(\w+)")
_PARTS = {
    family: {name.rpartition(".")[2]: unit for name, unit, _ in FAMILIES if name.startswith(family)}
    for family in ("cma", "reserved", "zone")
}


def _cma_area(k: Kernel, name: str) -> Cma | None:
    if name == "default":
        return k.mm.dma_contiguous_default_area
    return next((area for area in k.mm.cma_areas if area.name == name), None)


def _extent(base: int, size: int, part: str) -> int:
    return {"base": base, "size": size, "end": base + size}[part]


def _of_cma(k: Kernel, name: str, part: str) -> int | None:
    area = _cma_area(k, name)
    return None if area is None else _extent(area.base_pfn << PAGE_SHIFT, area.count << PAGE_SHIFT, part)


def _of_reserved(k: Kernel, name: str, part: str) -> int | None:
    for region in k.of.reserved_mem:
        if name in (region.name, region.name.partition("@")[0]) and region.size:
            return _extent(region.base, region.size, part)
    return None


def _of_zone(k: Kernel, name: str, part: str) -> int | None:
    zone = next((zone for zone in _zones(k) if zone["name"] == name), None)
    if zone is None:
        return None
    start, spanned = zone["start_pfn"] << PAGE_SHIFT, zone["spanned"]
    here: dict[str, int] = {
        "start": start, "end": start + spanned * PAGE_SIZE, "size": zone["present"] * PAGE_SIZE, "spanned": spanned,
        "present": zone["present"], "managed": zone["managed"], "free": zone["nr_free_pages"],
    }  # fmt: skip
    return here[part]


_FAMILY_VALUES: dict[str, Callable[[Kernel, str, str], int | None]] = {
    "cma": _of_cma, "reserved": _of_reserved, "zone": _of_zone,
}  # fmt: skip


class Quantities:
    """The quantities of one boot, each worked out when it is asked for; `digest` works out that of the whole boot."""

    def __init__(self, k: Kernel, digest: Callable[[], str] | None = None) -> None:
        self._k = k
        self._digest = digest
        self._known: dict[str, int | str] = {}

    def value(self, name: str) -> int | str:
        """The value of a quantity. Raises UnknownQuantityError."""
        if name not in self._known:
            self._known[name] = self._find(name)
        return self._known[name]

    def _find(self, name: str) -> int | str:
        k = self._k
        if name == "digest" and self._digest is not None:
            return self._digest()
        if name in BY_NAME:
            try:
                return BY_NAME[name].value(k)
            except UnknownQuantityError as error:
                raise UnknownQuantityError(name, why=f"{name}: {error}") from None
        family = _family(name)
        if family is not None:
            found = _FAMILY_VALUES[family[0]](k, family[1], family[2])
            if found is not None:
                return found
        fact = k.facts.get(name)
        if fact is None:
            raise UnknownQuantityError(name, self._near(name))
        return fact.value

    def unit(self, name: str) -> str:
        """The unit of a quantity: "bytes", "pages", "pa", "va", "count", "text", or what its fact says."""
        if name in BY_NAME:
            return BY_NAME[name].unit
        fact = self._k.facts.get(name)
        family = _family(name)
        if family is not None:
            return _PARTS[family[0]][family[2]]
        return fact.unit if fact is not None else "count"

    def shown(self, name: str) -> str:
        """The value as people read it: addresses in hex, bytes with their size in MiB or KiB."""
        return shown(self.value(name), self.unit(name))

    def names(self) -> Iterator[str]:
        """Every name this boot has a value for, the table's first."""
        for name in [*BY_NAME, *self._members()]:
            try:
                self.value(name)
            except UnknownQuantityError:
                continue
            yield name
        yield from (fact.name for fact in self._k.facts if fact.name not in BY_NAME)

    def _members(self) -> list[str]:
        k = self._k
        things = [("cma", area.name) for area in k.mm.cma_areas]
        if k.mm.dma_contiguous_default_area is not None:
            things.insert(0, ("cma", "default"))
        things += [("reserved", region.name) for region in k.of.reserved_mem]
        if hasattr(k.mm, "pgdat"):
            things += [("zone", zone["name"]) for zone in k.zones if zone["spanned"]]
        return [f"{family}.{name}.{part}" for family, name in things for part in _PARTS[family]]

    def _near(self, name: str) -> tuple[str, ...]:
        import difflib

        known = [*BY_NAME, *self._members(), *(fact.name for fact in self._k.facts)]
        return tuple(difflib.get_close_matches(name, dict.fromkeys(n for n in known if n != name), 2, 0.6))

    def rests_on(self, name: str) -> tuple[str, ...]:
        """The facts that decide a quantity, the ones this boot recorded."""
        facts = self._k.facts
        names: tuple[str, ...] = (name,)
        if name in BY_NAME:
            names = BY_NAME[name].rests_on
        elif name not in facts and (family := _family(name)) is not None:
            names = self._facts_of(*family)
        return tuple(each for each in dict.fromkeys(names) if each in facts)

    def _facts_of(self, family: str, thing: str, part: str) -> tuple[str, ...]:
        if family == "zone":
            return (f"zone.{thing}.start_pfn", f"zone.{thing}.end_pfn", f"zone.{thing}.present_pages")
        if family == "cma":
            area = _cma_area(self._k, thing)
            index = self._k.mm.cma_areas.index(area) if area in self._k.mm.cma_areas and area is not None else 0
            name = self._k.mm.cma_areas[index].name if self._k.mm.cma_areas else thing
            return (f"cma.{name}.{part}", f"cma.{name}.base")
        return ()


def _family(name: str) -> tuple[str, str, str] | None:
    match = _FAMILY.fullmatch(name)
    if match is None or match[3] not in _PARTS[match[1]]:
        return None
    return match[1], match[2], match[3]


def is_known(name: str) -> bool:
    """Whether a name is in the table or of a family; other names may still be those of facts."""
    return name in BY_NAME or _family(name) is not None


def shown(value: int | str, unit: str) -> str:
    """A value as people read it."""
    if isinstance(value, str):
        return value
    if unit in ("pa", "va"):
        return f"{value:#010x}"
    if unit == "bytes":
        return size_text(value)
    return str(value)


def size_text(size_bytes: int) -> str:
    """A number of bytes as options and files write it: 1G, 512M, 4K, or plain bytes where none is exact."""
    for shift, suffix in ((30, "G"), (20, "M"), (10, "K")):
        if size_bytes and size_bytes % (1 << shift) == 0:
            return f"{size_bytes >> shift}{suffix}"
    return str(size_bytes)


def ram_text(size_bytes: int, base: int | None) -> str:
    """RAM really there as --ram takes it: 1G, 1G@0x60000000."""
    return size_text(size_bytes) + ("" if base is None else f"@{base:#x}")


def number(text: str) -> int:
    """The value of a number as options and files write it. Raises ValueError."""
    return parse_number(text)
