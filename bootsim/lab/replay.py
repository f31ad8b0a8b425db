"""A recording replayed: the machine boots from the same tree, then gets the recorded requests, and answers itself."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from bootsim.errors import InputError
from bootsim.inputs.devicetree import load_tree
from bootsim.lab import kinds
from bootsim.lab.mappings import MappingTraffic
from bootsim.lab.objects import ObjectTraffic
from bootsim.lab.pages import PageTraffic
from bootsim.lab.processors import Processors
from bootsim.lab.slabtraffic import SlabTraffic
from bootsim.lab.slobtraffic import SlobTraffic
from bootsim.linux.include.linux.errno import EBUSY
from bootsim.linux.mm import page_alloc as pa
from bootsim.linux.mm.cma import cma_alloc, cma_release
from bootsim.linux.mm.page_alloc import __GFP_BITS_MASK
from bootsim.page import PAGE_SHIFT
from bootsim.start import prepare, run

if TYPE_CHECKING:
    from collections.abc import Callable

    from bootsim.inputs.build import KernelBuild
    from bootsim.lab.recording import Recording
    from bootsim.linux import Kernel

NO_PAGE = 0xFFFFFFFF
# Records whose words hold an answer: which words.
ANSWER_WORDS = {kinds.REQUEST: (3,), kinds.MOVED: (2, 3), kinds.CMA_ALLOC: (3,), kinds.CMA_RELEASE: (3,)}
MAPPING_ANSWER_WORDS = {
    kinds.RANGE: (3,), kinds.PCPU_AREAS: (1,), kinds.VMALLOC: (3,), kinds.KMAP: (2, 3), kinds.KUNMAP: (2, 3),
    kinds.KMAP_ATOMIC: (2,), kinds.IOREMAPPED: (2,), kinds.IOUNMAP: (2,), kinds.MODULE: (2,), kinds.MAPPED: (1, 2, 3),
}  # fmt: skip
OBJECT_ANSWER_WORDS = {kinds.GET: (2,), kinds.KMALLOC: (3,), kinds.CREATED: (1,), kinds.GIVEN_BACK: (2,),
                       kinds.NEW_SLAB: (2, 3)}  # fmt: skip
ALL_GFP_BITS = __GFP_BITS_MASK  # inside a class the name would be mangled
_OF_OBJECTS = (kinds.GET, kinds.PUT, kinds.FURTHER, kinds.FIRST_OBJECT)
_CHUNK = 1 << 16


def _check_build(recording: Recording, build: KernelBuild) -> None:
    # what meta.json tells of the recorded kernel, and what of a build no record makes up for
    config, meta = build.config, recording.meta
    allocator = "SLAB" if config.SLAB else "SLUB" if config.SLUB else "SLOB"
    described = {"allocator": allocator, "smp_kernel": "y" if config.SMP else "n",
                 "highmem": "y" if config.HIGHMEM else "n", "page_offset": f"{config.PAGE_OFFSET:#x}"}
    for name, value in described.items():
        recorded = str(meta.get(name, value))
        if recorded.lower() != value.lower():
            raise InputError(f"{recording.path / 'meta.json'}: {name} is {recorded}, and the build has {value}: "
                             "another kernel than the recorded one")
    if config.SLAB and config.DEBUG_SLAB:
        raise InputError(f"{recording.path}: a build with CONFIG_DEBUG_SLAB: no record tells whether an object's "
                         "address is that of its red zone or of what lies behind")


class PageReplay:
    """A kernel under the recorded traffic of pages, objects and mappings.

    `answers` are the records with the replay's own answers in the answer words; those of records that are not replayed
    are zero. `k` is the machine, `at` the next record; `notes` tell what of the build no recording can give.
    Differs: which pages may move is taken from the records of those that did (18), unless the recording holds the
    state of the pages that a compaction began with.
    """

    def __init__(self, recording: Recording, build: KernelBuild | None = None) -> None:
        self.recording = recording
        self.records = recording.records
        build = build or recording.build()
        _check_build(recording, build)
        tree = load_tree(recording.dtb)
        banks = [bank for bank in tree.banks if bank[1]]
        if not banks:
            raise InputError(f"{recording.dtb}: no memory node")
        self.k: Kernel = prepare(tree, build, dtb_addr=recording.dtb_pa(banks[0][0]))
        run(self.k, until="mem_init")
        data = bytearray(self.records.tobytes())
        self.answers = memoryview(data).cast("I", shape=list(self.records.shape or ()))
        self.answer_words = {**ANSWER_WORDS, **OBJECT_ANSWER_WORDS, **MAPPING_ANSWER_WORDS}
        self._clear_answers()
        self.notes: list[str] = []
        if build.config.SLAB_FREELIST_RANDOM and not build.config.SLOB:
            self.notes.append("this build (CONFIG_SLAB_FREELIST_RANDOM) hands out the objects of a slab in a random "
                              "order, which no record tells: answers of pages can agree, those of objects cannot")
        self.traffic = PageTraffic(self.k.mm.pgdat)
        self.traffic.cpus = Processors(self.k, self.k.mm.pgdat, self.records)
        self.traffic.mappings = self.mappings = MappingTraffic(self.k, self.k.mm.pgdat)
        names = recording.cache_names()
        self.objects: ObjectTraffic | SlabTraffic | SlobTraffic
        if build.config.SLUB:
            self.objects = ObjectTraffic(self.k, self.traffic, self.records, names)
        else:
            self.objects = (SlabTraffic if build.config.SLAB else SlobTraffic)(self.k, self.traffic, names)
        self.traffic.driver, self.traffic.own = self.objects, self._own
        self.traffic.held = recording.movable_pages()
        # What comes before the first cache and the first request is the boot's own doing, and done.
        self.at = next((i for i in range(len(self.records)) if self.records[i, 0] in (kinds.CACHE, kinds.REQUEST)),
                       len(self.records))

    def _clear_answers(self) -> None:
        for i in range(len(self.records)):
            for word in self.answer_words.get(self.records[i, 0], ()):
                self.answers[i, word] = 0

    def run(self, stop: int | None = None, progress: Callable[[int], None] | None = None) -> None:
        """Replay up to the record `stop`, or all; `progress` hears of every 65536th record. Raises InputError."""
        end = len(self.records) if stop is None else max(0, min(stop, len(self.records)))
        while self.at < end:
            limit = min(end, self.at + _CHUNK)
            try:
                self.at = self.objects.run(self.records, self.answers, self.at, limit)
                if self.at < limit:
                    self._own(self.at)
                    self.at += 1
            except (ValueError, pa.PageFrameError) as error:
                raise InputError(f"{self.recording.path}: record {self.at}: {error}") from None
            if progress is not None and self.at == limit:
                progress(self.at)
        if self.at == len(self.records) and isinstance(self.objects, SlabTraffic):
            self.objects.end()

    def _own(self, i: int) -> None:
        # what the kernel did by itself at its initcalls, and CMA
        kind, a, b, c = (self.records[i, word] for word in range(4))
        if kind == kinds.PAGESET:
            if b > 1 and pa.zones_snapshot(self.k)[0]["pcp"][0]["batch"] == 1:
                pa.setup_per_cpu_pageset(self.k)
        elif kind == kinds.WATERMARKS:
            self.k.mm.pgdat.gfp_allowed_mask = ALL_GFP_BITS
            pa.init_per_zone_wmark_min(self.k)
        elif kind == kinds.PAGEBLOCK:
            self._activate(i, a)
        elif kind == kinds.CMA_ALLOC:
            self._cma_alloc(i, a, b)
        elif kind == kinds.CMA_RELEASE:
            areas = self.k.mm.cma_areas
            self.answers[i, 3] = c & 0xFFFF0000 | int(c >> 16 < len(areas)
                                                      and cma_release(self.k, areas[c >> 16], a, b, free=False))

    def _activate(self, i: int, pfn: int) -> None:
        # init_cma_reserved_pageblock(): its record of the block freed (3) comes next, and is not another one
        pa.init_cma_reserved_pageblock(self.k, pfn)
        for area in self.k.mm.cma_areas:
            if area.base_pfn <= pfn < area.base_pfn + area.count and not area.bitmap:
                area.bitmap = bytearray(area.count >> area.order_per_bit)
        if i + 1 < len(self.records) and self.records[i + 1, 0] == 3 and self.records[i + 1, 1] == pfn:
            self.at += 1

    def _cma_alloc(self, i: int, count: int, where: int) -> None:
        # The ranges that it tried were records (8, 9): what became of them here is known, the rest is the bitmap's.
        # Another task may be about to be answered, too: its ranges are of another size, or another processor's.
        others = [one for one in self.traffic.contig
                  if one.end - one.start != count or one.cpu != self.k.mm.pgdat.cpu]
        own = [one for one in self.traffic.contig if one.taken and one not in others] or others
        to_be_had = {(one.start, one.end) for one in own if one.taken}

        def contig(_k: Kernel, start: int, end: int, _migratetype: int) -> int:
            return 0 if (start, end) in to_be_had else -EBUSY

        area = where >> 16
        pfn = (cma_alloc(self.k, self.k.mm.cma_areas[area], count, where & 0xFFFF, no_warn=True, contig=contig)
               if area < len(self.k.mm.cma_areas) else None)
        self.answers[i, 3] = NO_PAGE if pfn is None else pfn
        # what was tried behind the range that was taken is somebody else's, too
        last = max((n for n, one in enumerate(self.traffic.contig) if one.start == pfn and one in own),
                   default=len(self.traffic.contig))
        self.traffic.contig[:] = [one for n, one in enumerate(self.traffic.contig)
                                  if n > last or (n != last and one in others)]
        if pfn is not None:
            self.mappings.contiguous(pfn, self.records[i, 3], count)

    # ------------------------------------------------------------------ what came of it

    def score(self) -> tuple[int, int, tuple[int, list[int], list[int]] | None]:
        """Answers that agree, answers, and the first that does not: (record, recorded words, the replay's)."""
        right = total = 0
        first = None
        for i in range(self.at):
            words = self.answer_words.get(self.records[i, 0], ())
            if not words or self.objects.waits(i, self.records[i, 0]):
                continue
            total += 1
            if all(self.records[i, w] == self.answers[i, w] for w in words):
                right += 1
            elif first is None:
                first = (i, [self.records[i, w] for w in range(4)], [self.answers[i, w] for w in range(4)])
        return right, total, first

    def untold(self) -> list[str]:
        """What the replay had to take as given although no record tells it, as sentences."""
        hints, strayed = self.traffic.hints, self.traffic.strayed
        told = []
        if hints.untold:
            told.append(f"{hints.untold} of compaction's hints to pass a pageblock by rest on there being no page in "
                        "it that was on an LRU list and could not be taken, which no record tells; "
                        f"{hints.shown_wrong} of them turned out otherwise")
        if hints.resets:
            told.append(f"all such hints of a zone were looked at again {hints.resets} times, without knowing which "
                        "pages are on LRU lists, or when kswapd did it exactly")
        if strayed:
            told.append(f"compaction went another way than the recorded one in {len(strayed)} places, first at record "
                        f"{strayed[0]}; from each on the recorded steps were taken")
        if self.traffic.passed_over:
            told.append(f"{self.traffic.passed_over} records free pages that are free here already, or that compaction "
                        "is moving: they were passed over")
        if isinstance(self.objects, SlabTraffic) and self.objects.untold:
            told.append(f"whether the reaper has cleared the mark (free_touched) of {self.objects.untold} caches rests "
                        "on when exactly it came, which no record tells")
        if isinstance(self.objects, SlabTraffic) and self.traffic.cpus.most > 1:
            told.append(f"the reapers of {self.traffic.cpus.most} processors are taken for one: the mark "
                        "(free_touched) that they clear may differ")
        return told

    def state(self) -> dict[str, Any]:
        """Zones with their pageblocks, and CMA areas with their bitmaps, in the recording's own form."""
        return {**self.state_of(self.k), **self.mappings.snapshot()}

    @staticmethod
    def state_of(k: Kernel) -> dict[str, Any]:
        """Zones and areas of any machine, in that form."""
        zones = pa.zones_snapshot(k)
        block = 1 << k.mm.pageblock_order
        for zone in zones:
            first, end = zone["start_pfn"], zone["start_pfn"] + zone["spanned"]
            pfns = range(first & ~(block - 1), end, block) if zone["spanned"] else range(0)
            zone["pageblocks"] = {
                "first_pfn": pfns[0] if pfns else 0,
                "order": k.mm.pageblock_order,
                "migratetype": [pa.get_pageblock_migratetype(k, max(pfn, first)) for pfn in pfns],
                "skip": [int(pa.is_pageblock_skipped(k, max(pfn, first))) for pfn in pfns],
            } if pfns else {}
        areas = [{"name": area.name, "base_pfn": area.base_pfn, "count": area.count,
                  "order_per_bit": area.order_per_bit, "set_bits": area.set_bits} for area in k.mm.cma_areas]
        return {"zones": zones, "areas": areas, "totalram_pages": k.mm.totalram_pages}

    def caches(self) -> dict[str, Any]:
        """The slab allocator's caches with their lists, as objects.json has them."""
        allocator = self.objects.allocator
        return {"allocator": type(allocator).__name__.lower(), "state": allocator.snapshot()}

    def life_of(self, pfn: int) -> list[str]:
        """What happened to a page frame, from memblock on up to the record that comes next."""
        return [f"boot: {self.boot_of(pfn)}", *(f"{i}: {what}" for i, _, what in self.story_of(pfn))]

    def boot_of(self, pfn: int) -> str:
        """Whose a page frame was when memblock gave memory to the page allocator."""
        owner = next((h for h in self.k.owners.claims() if h.base <= pfn << PAGE_SHIFT < h.end), None)
        if owner is not None:
            return f"{owner.purpose.what} ({owner.span()})"
        return "free, given to the page allocator" if self.k.machine.has_ram(pfn << PAGE_SHIFT) else "no RAM"

    def story_of(self, pfn: int) -> list[tuple[int, bool, str]]:
        """Each record about a page frame: its number, whether the frame is in use after it, what happened."""
        told = []
        for i in range(self.at):
            kind, a, b, c = (self.answers[i, word] for word in range(4))
            if kind == kinds.REQUEST and c != NO_PAGE and c <= pfn < c + (1 << b):
                asked = pa.format_gfp_flags(a)
                told.append((i, True, f"handed out in a block of order {b} at {c:#x}, asked with {asked}"))
            elif kind == kinds.FREE_ONE and a == pfn:
                told.append((i, False, f"freed to the lists of cpu {c}"))
            elif kind == kinds.FREE_BLOCK and a <= pfn < a + (1 << b):
                told.append((i, False, f"freed in a block of order {b} at {a:#x}"))
            elif kind == kinds.MOVED and pfn in (a, b):
                moved = f"its content moved to {b:#x}" if pfn == a else f"takes the content of {a:#x}"
                told.append((i, pfn == b, moved))
            elif kind == kinds.CMA_ALLOC and c != NO_PAGE and c <= pfn < c + a:
                told.append((i, True, f"taken with {a} pages at {c:#x} from a contiguous area"))
        return told

    def life_of_object(self, va: int) -> list[str]:
        """What happened to the object that holds an address, and where it lies, up to the record that comes next."""
        told = []
        sizes: dict[int, int] = {}
        asked = {kinds.KMALLOC: "kmalloc", kinds.CREATED: "kmem_cache_create"}
        for i in range(self.at):
            kind, a, b, c = (self.answers[i, word] for word in range(4))
            if kind == kinds.CACHE:
                sizes[a] = b
            elif kind in _OF_OBJECTS and b <= va < b + max(sizes.get(a, 1), 1):
                what = {kinds.GET: f"handed out, asked with {pa.format_gfp_flags(c)}",
                        kinds.FIRST_OBJECT: "taken, the first of all", kinds.FURTHER: "freed with others",
                        kinds.PUT: "freed" if c == 1 else f"freed with {c - 1} others"}[kind]
                told.append(f"{i}: object {b:#x} of cache {self._cache_name(a)}: {what}")
            elif kind == kinds.KMALLOC and c == va:
                told.append(f"{i}: {asked[kind]} of {a} bytes")
            elif kind == kinds.CREATED and a == va:
                told.append(f"{i}: {asked[kind]}: it describes cache {self._cache_name(a)}")
        if self.objects.allocator.owner_of(va):
            told.append(f"now: {self.objects.allocator.owner_of(va)}")
        return told

    def _cache_name(self, va: int) -> str:
        cache = self.objects.allocator.cache_at.get(va)
        return f"{va:#x}" if cache is None else f"{cache.name} ({va:#x})"
