"""The demand of a traced system, put to another machine: who asks for how much, and what is left here.

A text trace tells requests and frees, and neither the state that it began in nor when per-cpu lists were drained. So
frames here are not compared with the traced ones: each traced block gets one of this machine's own.
"""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, NamedTuple

from bootsim.errors import InputError
from bootsim.lab.texttrace import PAGES, frame, gfp_mask, number, pointer
from bootsim.linux.mm.page_alloc import __GFP_COMP as GFP_COMP
from bootsim.linux.mm.page_alloc import PageFrameError, alloc_pages, nr_free_pages, split_page
from bootsim.linux.mm.page_alloc import __free_pages as free_pages

if TYPE_CHECKING:
    from collections.abc import Callable

    from bootsim.lab.texttrace import TextTrace, TraceEvent
    from bootsim.linux import Kernel

_MAX_ORDER = 16


class Block:
    """A block that the traced system holds: its frame there and here (None: nobody had one), and who asked for it."""

    __slots__ = ("compound", "order", "own_pfn", "pfn", "task")

    def __init__(self, pfn: int, order: int, own_pfn: int | None, task: str, compound: bool) -> None:
        self.pfn = pfn
        self.order = order
        self.own_pfn = own_pfn
        self.task = task
        self.compound = compound


class HeldObject(NamedTuple):
    """An object that the traced system holds: who asked for it, and the bytes it takes."""

    site: str
    size_bytes: int


class Demand:
    """A machine under a traced demand.

    `held` are the blocks now held by each of their traced frames, `objects` the objects by address. Counters: `asked`
    and `asked_pages`, `refused_here` (with the line of the first), `refused_there`, `unseen` (frees of pages handed out
    before the trace began, or of which it lost the request), `gaps` (requests for pages that were never freed, as far
    as the trace tells), `hidden_objects` (events of objects whose address the tracer did not write).
    """

    def __init__(self, k: Kernel, trace: TextTrace, *, page: int | None = None, object_va: int | None = None) -> None:
        self.k = k
        self.trace = trace
        self.page = page
        self.object_va = object_va
        self.life: list[str] = []
        self.held: dict[int, Block] = {}
        self.objects: dict[int, HeldObject] = {}
        self.events = self.asked = self.asked_pages = self.freed_pages = 0
        self.refused_here = self.refused_there = self.unseen = self.gaps = self.unseen_objects = self.hidden_objects = 0
        self.first_refused: TraceEvent | None = None
        self.first_time: float | None = None
        self.last_time = 0.0
        self.held_pages = self.most_held = self.most_held_line = 0
        self.fewest_free = nr_free_pages(k)
        self.fewest_free_line = 0
        self.cpus_unknown: set[int] = set()

    def run(self, stop: int | None = None, told: Callable[[int], None] | None = None) -> None:
        """Handle the trace's events, or the first `stop` of them; `told` hears how many. Raises InputError."""
        for event in self.trace:
            if stop is not None and self.events >= stop:
                break
            self.events += 1
            if told is not None and not self.events & 0x3FFF:
                told(self.events)
            self.first_time = event.time if self.first_time is None else self.first_time
            self.last_time = event.time
            if event.name in PAGES:
                self._on_cpu(event.cpu)
                (self._alloc if event.name == "mm_page_alloc" else self._free)(event)
            else:
                self._object(event)

    def _on_cpu(self, cpu: int) -> None:
        pgdat = self.k.mm.pgdat
        if cpu >= self.k.nr_cpu_ids:
            self.cpus_unknown.add(cpu)
            cpu = 0
        pgdat.cpu = cpu

    def _order(self, event: TraceEvent) -> int:
        order = number(self.trace, event, "order")
        if order >= _MAX_ORDER:
            raise InputError(f"{self.trace.path}:{event.line}: order={order}, expected less than {_MAX_ORDER}")
        return order

    def _alloc(self, event: TraceEvent) -> None:
        order, pfn, mask = self._order(event), frame(self.trace, event), gfp_mask(self.trace, event)
        self.asked += 1
        self.asked_pages += 1 << order
        if not pfn:
            self.refused_there += 1
            return
        pages = range(pfn, pfn + (1 << order))
        for block in {id(b): b for b in map(self.held.get, pages) if b is not None}.values():
            self.gaps += 1
            self._give_back(block)
        try:
            own = alloc_pages(self.k, mask, order)
        except PageFrameError as error:
            raise InputError(f"{self.trace.path}:{event.line}: {error}") from None
        if own is None:
            self.refused_here += 1
            self.first_refused = self.first_refused or event
        block = Block(pfn, order, own, event.task, bool(mask & GFP_COMP))
        self.held.update(dict.fromkeys(pages, block))
        self.held_pages += 1 << order
        if self.held_pages > self.most_held:
            self.most_held, self.most_held_line = self.held_pages, event.line
        free = nr_free_pages(self.k)
        if free < self.fewest_free:
            self.fewest_free, self.fewest_free_line = free, event.line
        self._tell(pages, event, f"order {order} handed out to {event.task}", own)

    def _free(self, event: TraceEvent) -> None:
        order, pfn = self._order(event), frame(self.trace, event)
        pages = range(pfn, pfn + (1 << order))
        blocks = list({id(b): b for b in map(self.held.get, pages) if b is not None}.values())
        self.unseen += sum(page not in self.held for page in pages)
        for block in blocks:
            own = block.own_pfn
            if block.order > order and not block.compound:
                own = self._give_back_part(block, pages)
            else:
                self._give_back(block)
            self._tell(pages, event, f"order {order} freed by {event.task}", own)
        if not blocks:
            self._tell(pages, event, f"order {order} freed by {event.task}, of which the trace has no request", None)

    def _give_back(self, block: Block) -> None:
        pages = [page for page in range(block.pfn, block.pfn + (1 << block.order)) if self.held.get(page) is block]
        for page in pages:
            del self.held[page]
        self.held_pages -= len(pages)
        self.freed_pages += len(pages)
        if block.own_pfn is not None:
            free_pages(self.k, block.own_pfn, block.order)

    def _give_back_part(self, block: Block, pages: range) -> int | None:
        # split_page(): from now on each page of the block goes its own way
        own = block.own_pfn
        if own is not None:
            split_page(self.k, own, block.order)
        for page in range(block.pfn, block.pfn + (1 << block.order)):
            one = None if own is None else own + page - block.pfn
            self.held[page] = Block(page, 0, one, block.task, compound=False)
        freed = [page for page in pages if block.pfn <= page < block.pfn + (1 << block.order)]
        for page in freed:
            self._give_back(self.held[page])
        return None if own is None else own + freed[0] - block.pfn

    def _object(self, event: TraceEvent) -> None:
        address = pointer(self.trace, event)
        if address is None:
            self.hidden_objects += 1
        if not address:
            return
        if event.name in ("kfree", "kmem_cache_free"):
            self.unseen_objects += self.objects.pop(address, None) is None
            what = f"freed by {event.fields.get('call_site', '?')}"
        else:
            size, site = number(self.trace, event, "bytes_alloc"), event.fields["call_site"]
            self.objects[address] = HeldObject(site, size)
            what = f"{event.name} of {size} bytes by {site}"
        if address == self.object_va:
            self.life.append(f"line {event.line}: {event.time:.6f}: {what}, {event.task}")

    def _tell(self, pages: range, event: TraceEvent, what: str, own: int | None) -> None:
        if self.page in pages:
            here = "" if own is None else f", here at page {own:#x}"
            self.life.append(f"line {event.line}: {event.time:.6f}: {what}{here}")

    def tasks(self) -> list[tuple[str, int]]:
        """Who asked for the pages that are held, with the number of them, most first."""
        return Counter(block.task for block in self.held.values()).most_common()

    def sites(self) -> list[tuple[str, int, int]]:
        """What asked for the objects that are held: call site, objects, bytes, most bytes first."""
        count: Counter[str] = Counter()
        size: Counter[str] = Counter()
        for held in self.objects.values():
            count[held.site] += 1
            size[held.site] += held.size_bytes
        return [(site, count[site], total) for site, total in size.most_common()]
