"""struct mm_struct, and struct page as an object to look at (include/linux/mm_types.h)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from bootsim.linux import Kernel

# The kernel's own names, as /proc/pagetypeinfo has them, by the number of the type.
MIGRATETYPE_NAMES = ("Unmovable", "Movable", "Reclaimable", "HighAtomic", "CMA", "Isolate")


def migratetype_names(count: int) -> tuple[str, ...]:
    """Return the names of a build's migrate types: without CMA there are five, without isolation four.

    Source: mm/page_alloc.c migratetype_names[]
    """
    return {6: MIGRATETYPE_NAMES, 5: (*MIGRATETYPE_NAMES[:4], "Isolate"), 4: MIGRATETYPE_NAMES[:4]}[count]


class MmStruct:
    """struct mm_struct: an address space. `pgd_pa` is where its first-level table lies (pa), 0 before it has one.

    `vmalloc_seq` counts the first-level words of kernel memory that went away; other address spaces have copies of
    them.
    """

    __slots__ = ("name", "pgd_pa", "vmalloc_seq")

    def __init__(self, name: str, pgd_pa: int = 0) -> None:
        self.name = name
        self.pgd_pa = pgd_pa
        self.vmalloc_seq = 0

    def __repr__(self) -> str:
        return f"MmStruct({self.name}: first level at {self.pgd_pa:#010x})"


class Page:
    """The page frame `pfn` of a kernel, read anew at every question; flags, mapping and their kin can be written.

    `pa` is its physical address; `va` its address in the linear mapping, None for a page of high memory. `order` is
    that of the free block it heads, None unless it heads one.
    Raises PageFrameError when no struct page belongs to the frame.
    """

    __slots__ = ("_k", "pfn")

    def __init__(self, k: Kernel, pfn: int) -> None:
        self._k = k
        self.pfn = pfn
        self._info()

    def _info(self) -> dict[str, Any]:
        from bootsim.linux.mm.page_alloc import page_info

        return page_info(self._k, self.pfn)

    @property
    def pa(self) -> int:
        """The physical address of the frame."""
        return self.pfn << 12

    @property
    def va(self) -> int | None:
        """The address in the linear mapping, None for high memory."""
        return None if self.pfn >= self._k.mm.max_low_pfn else self._k.phys_to_virt(self.pa)

    @property
    def order(self) -> int | None:
        """The order of the free block that begins here, None unless one does."""
        info = self._info()
        return int(info["private"]) if info["buddy"] else None

    def __getattr__(self, name: str) -> Any:
        if name.startswith("_"):
            raise AttributeError(name)
        info = self._info()
        if name not in info:
            raise AttributeError(f"struct page has no {name!r} here; it has {', '.join(info)}")
        return info[name]

    def __setattr__(self, name: str, value: Any) -> None:
        if name in ("_k", "pfn"):
            object.__setattr__(self, name, value)
            return
        from bootsim.linux.mm.page_alloc import set_page

        set_page(self._k, self.pfn, name, value)

    def __dir__(self) -> list[str]:
        return sorted({*super().__dir__(), *self._info()})

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Page) and (self._k, self.pfn) == (other._k, other.pfn)

    def __hash__(self) -> int:
        return hash((id(self._k), self.pfn))

    def __repr__(self) -> str:
        info = self._info()
        state = (f"free, order {info['private']}" if info["buddy"] else "reserved" if info["reserved"]
                 else f"refcount {info['refcount']}")
        return f"Page({self.pfn:#x}: {info['zone']}, {MIGRATETYPE_NAMES[info['migratetype']]}, {state})"
