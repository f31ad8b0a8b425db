"""Kernel mappings, replayed: address ranges, pages mapped there, ioremap(), kmap(), module_alloc(), per-cpu areas.

The records of what happens inside an operation come before its own. So vmalloc()'s pages are those that the requests
behind its range's record were answered with, by the replay's own page allocator; what vmap() is given are the pages
that the latest requests were answered with. A recorded address is an argument later: it is taken for the address that
the replay gave in its place.

Record 34 tells when waiting ranges are given back: where too many wait the replay does so by itself, and before that
record; where no room was found it makes no difference whether it does at that record or at the search right behind.
"""

from libc.stdint cimport uint32_t

from bootsim.lab.kinds cimport (
    FLUSHED, IOREMAPPED, IOREMAP_ASKED, IOUNMAP, KMAP, KMAP_ATOMIC, KMAP_HIGH_GET, KUNMAP, KUNMAP_ATOMIC, MAPPED,
    MODULE, PCPU_AREAS, PCPU_GROUP, PURGED, RANGE, RANGE_ASKED, REMOVED, VMALLOC)
from bootsim.linux.mm.highmem cimport Kmap
from bootsim.linux.mm.page_alloc cimport NO_PAGE, PG_slab, Pglist
from bootsim.linux.mm.page_alloc.gfp cimport __GFP_DMA, __GFP_DMA32, __GFP_HIGHMEM, __GFP_NORETRY, __GFP_NOWARN
from bootsim.page cimport PAGE_SHIFT, PAGE_SIZE

from bootsim.linux.arch.arm.asm.memory import VMALLOC_END
from bootsim.linux.arch.arm.mm.ioremap import find_static_vm_vaddr, ioremap_at_once
from bootsim.linux.mm.highmem import KmapError
from bootsim.linux.mm.vmalloc.area import ioremap_align, lazy_max_pages, new_areas
from bootsim.linux.mm.vmalloc.early import VM_ALLOC as ALLOC
from bootsim.linux.mm.vmalloc.early import VM_DMA_COHERENT as DMA_COHERENT
from bootsim.linux.mm.vmalloc.early import VM_IOREMAP as IOREMAP
from bootsim.linux.mm.vmalloc.early import VM_NO_GUARD as NO_GUARD

cdef enum:
    NO_ADDRESS = 0xFFFFFFFF


class Area:
    """A range whose pages are not mapped yet: what it was asked as, its pages, and what they look like when mapped.

    `wants` is how many pages, `mask` what vmalloc() asks for them with; `pages` are frames, None where one failed;
    `runs` are (va, first frame, number), those not told yet.
    """

    __slots__ = ("flags", "mask", "pages", "runs", "size", "va", "wants")

    def __init__(self, va, size, flags, wants):
        self.va, self.size, self.flags, self.wants = va, size, flags, wants
        self.mask = 0
        self.pages = []
        self.runs = None

    @property
    def complete(self):
        """Whether it has all of its pages."""
        return len(self.pages) == self.wants and None not in self.pages

    @property
    def lacks(self):
        """Whether vmalloc() will ask for another page."""
        return self.mask and len(self.pages) < self.wants and None not in self.pages


class Chunk:
    """A chunk of per-cpu memory: the start of each processor's unit (va), and which pages of a unit are there."""

    __slots__ = ("populated", "units")

    def __init__(self, units, unit_pages):
        self.units = units
        self.populated = bytearray(unit_pages)


class Asked:
    """An ioremap() under way: its arguments, and the range it was given."""

    __slots__ = ("offset", "pfn", "range", "size")

    def __init__(self, pfn, offset, size):
        self.pfn, self.offset, self.size = pfn, offset, size
        self.range = None


cdef class MappingTraffic:
    """One kernel's own address space under recorded traffic, from record to record.

    `areas` are its ranges, `kmap` its windows (None without CONFIG_HIGHMEM); `first_wrong` is the first answer that
    differs, as a tuple of the record's index and a sentence.
    """

    def __init__(self, k, Pglist pgdat not None):
        self.k, self.p = k, pgdat
        self.areas = new_areas(k)
        self.kmap = Kmap(k) if k.build.config.HIGHMEM else None
        self.open, self.asked, self.groups, self.chunks = [], [], [], []
        self.renamed, self.got = {}, {}
        self.last_vmalloc = 0

    # ---------------------------------------------------------------- pages handed out

    cdef int give(self, uint32_t pfn, uint32_t real, uint32_t count, uint32_t gfp_mask) except -1:
        cdef Given *given = &self.given[self.nr_given % LATELY]
        given.pfn, given.real, given.count, given.gfp_mask = pfn, real, count, gfp_mask
        self.nr_given += 1
        return 0

    cdef int page(self, uint32_t gfp_mask, uint32_t order, uint32_t pfn, uint32_t real) except -1:
        # a request was answered: by vmalloc()'s range, where one waits for such pages
        if self.filling is not None and order == 0 and gfp_mask == self.filling_mask:
            self.filling.pages.append(None if pfn == NO_PAGE else pfn)
            if pfn == NO_PAGE or len(self.filling.pages) == self.filling.wants:
                self.next_to_fill()
        elif order < 32:
            self.give(pfn, real, <uint32_t>1 << order, gfp_mask if order == 0 else 0)
        return 0

    def contiguous(self, uint32_t pfn, uint32_t real, uint32_t count):
        """CMA handed out `count` pages at `pfn`, at `real` in the recording."""
        self.give(pfn, real, count, 0)

    cdef int next_to_fill(self) except -1:
        # the newest range of vmalloc() that lacks pages; the array of a large one's pages is an inner one
        self.filling = None
        for area in reversed(self.open):
            if area.lacks:
                self.filling, self.filling_mask = area, area.mask
                break
        return 0

    # ---------------------------------------------------------------- records

    cdef int answer(self, const uint32_t[:, ::1] events, Py_ssize_t i, uint32_t[:, ::1] answers, int word,
                    uint32_t ours) except -1:
        answers[i, word] = ours
        if ours != events[i, word]:
            self.wrong += 1
            if self.first_wrong is None:
                self.first_wrong = (i, f"{events[i, word]:#x} in the recording, {ours:#x} here")
        return 0

    cdef uint32_t va_here(self, uint32_t va) except? 1:
        return self.renamed.get(va, va) if self.renamed else va

    cdef int record(self, const uint32_t[:, ::1] events, Py_ssize_t i, uint32_t[:, ::1] answers) except -1:
        cdef uint32_t kind = events[i, 0]
        try:
            if KMAP <= kind <= FLUSHED or kind == KMAP_HIGH_GET:
                self.window(events, i, answers)
            else:
                self.area_record(kind, events, i, answers)
        except (KmapError, ValueError) as error:  # the record is wrong, or an answer before it was
            self.wrong += 1
            if self.first_wrong is None:
                self.first_wrong = (i, str(error))
        return 0

    cdef int area_record(self, uint32_t kind, const uint32_t[:, ::1] events, Py_ssize_t i,
                         uint32_t[:, ::1] answers) except -1:
        cdef uint32_t a = events[i, 1]
        if kind == RANGE:
            self.get_area(events, i, answers)
        elif kind == MAPPED:
            self.mapped(events, i, answers)
        elif kind == VMALLOC:
            self.last_vmalloc = self.vmalloced(a)
            self.answer(events, i, answers, 3, self.last_vmalloc)
        elif kind == MODULE:
            self.answer(events, i, answers, 2, self.last_vmalloc)
        elif kind == REMOVED:
            self.removed(self.va_here(a))
        elif kind == PURGED:
            self.areas.purge_now()
        elif kind == IOREMAP_ASKED:
            self.asked.append(Asked(a, events[i, 2], events[i, 3]))
        elif kind == IOREMAPPED:
            self.answer(events, i, answers, 2, self.ioremapped(a))
        elif kind == IOUNMAP:
            self.answer(events, i, answers, 2, find_static_vm_vaddr(self.k, self.va_here(a)) is not None)
        elif kind == PCPU_GROUP:
            self.groups.append((a, events[i, 2], events[i, 3]))
        elif kind == PCPU_AREAS:
            self.answer(events, i, answers, 1, self.congruent())
        return 0

    cdef int window(self, const uint32_t[:, ::1] events, Py_ssize_t i, uint32_t[:, ::1] answers) except -1:
        cdef uint32_t kind = events[i, 0]
        cdef uint32_t va
        if self.kmap is None:
            raise ValueError("a page of high memory is mapped, and the build has none")
        if kind == FLUSHED:
            # The search came round. Its own answer is the next record, unless it found nothing, and its task sleeps.
            if i + 1 == events.shape[0] or events[i + 1, 0] != KMAP or self.kmap.page_address(events[i + 1, 1]):
                self.kmap.slept()
            return 0
        va = self.window_of(kind, events[i, 1], events[i, 3])
        if kind <= KMAP_ATOMIC:
            self.answer(events, i, answers, 2, va)
        if kind <= KUNMAP:
            self.answer(events, i, answers, 3, self.kmap.count(va) if va else 0)
        return 0

    cdef uint32_t window_of(self, uint32_t kind, uint32_t a, uint32_t prot) except? 1:
        # the address that is answered, where one is
        cdef Kmap kmap = self.kmap
        cdef uint32_t va
        if kind == KMAP:
            return kmap.kmap_high(a)
        if kind == KUNMAP:
            return kmap.kunmap_high(a)
        if kind == KMAP_HIGH_GET:
            self.got[a] = self.got.get(a, 0) + (kmap.kmap_high_get(a) != 0)
        elif kind == KUNMAP_ATOMIC and not kmap.holds(a):  # a window of kmap()'s has a record of its own (41)
            kmap.atomic_done(a, 0)
        elif kind == KMAP_ATOMIC:
            va = kmap.page_address(a) if kmap.uses_pkmap else 0
            if not va:
                return kmap.atomic(a, prot, 0)
            if self.got.get(a):
                self.got[a] -= 1
            else:
                kmap.kmap_high_get(a)
            return va
        return 0

    # ---------------------------------------------------------------- ranges

    cdef uint32_t find_room(self, uint32_t size, uint32_t align, uint32_t start, uint32_t end) except? 1:
        # alloc_vmap_area(): where there is no room, what waits is given back first; 0: none then either
        cdef uint32_t va = self.areas.take(size, align, start, end)
        if va == end:
            self.areas.purge_now()
            va = self.areas.take(size, align, start, end)
        if va == end:
            return 0
        self.areas.insert_busy(va, va + size)
        return va

    cdef int get_area(self, const uint32_t[:, ::1] events, Py_ssize_t i, uint32_t[:, ::1] answers) except -1:
        cdef uint32_t size, align, flags, guard, va
        if not i or events[i - 1, 0] != RANGE_ASKED:
            raise ValueError("a range without its size, which comes in the record before (30)")
        size, align, flags = events[i - 1, 1], events[i - 1, 2], events[i - 1, 3]
        guard = 0 if flags & NO_GUARD else PAGE_SIZE
        if size <= guard or size & (PAGE_SIZE - 1) or not align or align & (align - 1):
            raise ValueError(f"a range of {size:#x} bytes aligned to {align:#x}")
        if flags & IOREMAP:
            align = ioremap_align(self.k, size - guard)
        va = self.find_room(size, align, events[i, 1], events[i, 2])
        self.answer(events, i, answers, 3, va if va else NO_ADDRESS)
        if va != events[i, 3]:
            self.renamed[events[i, 3]] = va
        if not va:
            return 0
        area = Area(va, size, flags, (size - guard) >> PAGE_SHIFT)
        if flags & IOREMAP and self.asked:
            asked = self.asked[len(self.asked) - 1]
            if asked.range is None:
                asked.range = va
                return 0
        if not flags & ALLOC:
            self.open.append(area)
        else:
            area.mask = self.mask_of(events, i)
            if area.mask:
                self.open.append(area)
                self.next_to_fill()
        return 0

    cdef uint32_t mask_of(self, const uint32_t[:, ::1] events, Py_ssize_t i) except? 1:
        # What the requests for a range's pages look like follows from vmalloc()'s own mask (37); 0: there is none.
        cdef Py_ssize_t j
        cdef uint32_t mask
        cdef uint32_t size = events[i - 1, 1]
        for j in range(i + 1, events.shape[0]):
            if events[j, 0] == VMALLOC and ((events[j, 1] + 2 * PAGE_SIZE - 1) & ~<uint32_t>(PAGE_SIZE - 1)) == size:
                mask = events[j, 2] | __GFP_NOWARN
                return mask if mask & (__GFP_DMA | __GFP_DMA32) else mask | __GFP_HIGHMEM
        return 0

    cdef int removed(self, uint32_t va) except -1:
        # remove_vm_area()
        if self.areas.find(va) is None:
            return 0
        self.areas.give_back(va, lazy_max_pages(self.k))
        self.chunks = [chunk for chunk in self.chunks if va not in chunk.units]
        self.open = [area for area in self.open if area.va != va]
        for asked in self.asked:
            if asked.range == va:
                asked.range = 0
        return self.next_to_fill()

    def congruent(self):
        """pcpu_get_vm_areas() for the groups that were told: its base, or no address."""
        cdef uint32_t base
        groups, self.groups = self.groups, []
        if not groups:
            raise ValueError("per-cpu areas without their groups, which come in the records before (35)")
        offsets, sizes = [group[0] for group in groups], [group[1] for group in groups]
        start = self.k.mm.layout.VMALLOC_START
        found = self.areas.take_congruent(offsets, sizes, groups[0][2], start, VMALLOC_END)
        if found is None:
            self.areas.purge_now()
            found = self.areas.take_congruent(offsets, sizes, groups[0][2], start, VMALLOC_END)
        if found is None:
            return NO_ADDRESS
        base = found
        for offset, size in zip(offsets, sizes, strict=True):
            self.areas.insert_busy(base + <uint32_t>offset, base + <uint32_t>offset + <uint32_t>size)
        unit = self.k.mm.pcpu_unit_size
        units = [found + offset + at for offset, size in zip(offsets, sizes, strict=True)
                 for at in range(0, size, unit)]
        if len(units) >= self.k.num_possible_cpus:
            self.chunks.append(Chunk(units, unit >> PAGE_SHIFT))
        return base

    # ---------------------------------------------------------------- vmalloc(), vmap(), ioremap()

    cdef uint32_t vmalloced(self, uint32_t size) except? 1:
        # The newest range of this size, if all of its pages are there.
        size = (size + 2 * PAGE_SIZE - 1) & ~<uint32_t>(PAGE_SIZE - 1)
        for at in range(len(self.open) - 1, -1, -1):
            area = self.open[at]
            if area.mask and area.size == size:
                del self.open[at]
                self.next_to_fill()
                return area.va if area.complete else 0
        return 0

    cdef uint32_t ioremapped(self, uint32_t mtype) except? 1:
        if not self.asked:
            raise ValueError("an answer of ioremap(), which was not asked (45)")
        asked = self.asked.pop()
        found = ioremap_at_once(self.k, asked.pfn, asked.offset, asked.size, mtype)
        if found is not None:
            return found
        if asked.range is None:
            return 0
        return asked.range + asked.offset if asked.range else 0

    cdef int mapped(self, const uint32_t[:, ::1] events, Py_ssize_t i, uint32_t[:, ::1] answers) except -1:
        # The next run of a range that has all of its pages; vmap()'s get theirs now.
        area = self.to_map(self.va_here(events[i, 1]))
        if area is None:
            area = Area(0, 0, 0, 0)
            area.runs = self.populate(events, i)
            self.open.append(area)
        elif area.runs is None:
            area.runs = _runs(area.va, area.pages if area.mask else self.argument(events, i, area))
        if area.runs:
            run = area.runs.pop(0)
            for word in range(3):
                self.answer(events, i, answers, word + 1, run[word])
        if not area.runs and not area.mask:
            self.open.remove(area)
        return 0

    cdef object to_map(self, uint32_t va):
        # Of several, which happens when tasks meet, the one with a run at the recorded address; else the newest, unless
        # the address is one of per-cpu memory. None: of that.
        waiting = [area for area in reversed(self.open) if (not area.mask or area.complete) and area.runs != []]
        for area in waiting:
            if (area.runs[0][0] if area.runs else area.va) == va:
                return area
        if not waiting or any(unit <= va < unit + (len(chunk.populated) << PAGE_SHIFT)
                              for chunk in self.chunks for unit in chunk.units):
            return None
        return waiting[0]

    cdef list populate(self, const uint32_t[:, ::1] events, Py_ssize_t i):
        # pcpu_populate_chunk(): as many pages for each processor, asked for in turn. The work that keeps some ready
        # begins with the first that are missing; an allocation needs those that it lies on, which only record 53 tells.
        cdef Py_ssize_t n = self.nr_given
        cdef uint32_t mask = self.given[(n - 1) % LATELY].gfp_mask if n else 0
        cdef int cpus = self.k.num_possible_cpus
        pages = []
        while n > self.populated and len(pages) < LATELY and self.given[(n - 1) % LATELY].gfp_mask == mask:
            pages.append(self.given[(n - 1) % LATELY].pfn)
            n -= 1
        self.populated = self.nr_given
        pages.reverse()
        count = len(pages) // cpus
        if not count or not mask:
            return []
        place = self.place_in_chunk(events[i, 1], bool(mask & __GFP_NORETRY))
        if place is None:
            return []
        chunk, first = place
        for page in range(first, min(first + count, len(chunk.populated))):
            chunk.populated[page] = True
        pages = pages[len(pages) - count * cpus:]
        return [run for cpu in range(cpus)
                for run in _runs(chunk.units[cpu] + (first << PAGE_SHIFT), pages[cpu * count:(cpu + 1) * count])]

    def place_in_chunk(self, va, ahead):
        """Chunk and first page of a unit to populate: the first missing one (`ahead`), or those at an address."""
        found = None
        for chunk in self.chunks:
            page = (va - chunk.units[0]) >> PAGE_SHIFT
            missing = chunk.populated.find(0)
            if not ahead and 0 <= page < len(chunk.populated):
                return chunk, page
            if ahead and missing >= 0 and (found is None or page == missing):
                found = chunk, missing
        return found

    cdef object argument(self, const uint32_t[:, ::1] events, Py_ssize_t i, object area):
        # The frames that vmap() is given: those of the latest requests; or, where another task's lie between, of those
        # that were answered with the recorded frames, one after the other.
        cdef list told = self.recorded(events, i, area.wants)
        cdef list latest = self.latest(area.wants, area.flags & DMA_COHERENT != 0)
        cdef Py_ssize_t at, before = -1
        frames = [pfn for pfn, _ in latest] if latest is not None else []
        if told is None or (latest is not None and [real for _, real in latest] == told):
            return frames
        others = []
        for real in told:
            at = self.request_of(real)
            if at <= before:
                return frames
            others.append(self.given[at % LATELY].pfn)
            before = at
        return others

    cdef list recorded(self, const uint32_t[:, ::1] events, Py_ssize_t i, uint32_t count):
        # the recorded frames of the mapping whose first run is record i; None when they are not `count`
        cdef list frames = []
        while i < events.shape[0] and events[i, 0] == MAPPED and <uint32_t>len(frames) < count:
            if events[i, 3] > count - <uint32_t>len(frames):
                return None
            frames.extend(range(events[i, 2], <object>events[i, 2] + events[i, 3]))
            i += 1
        return frames if <uint32_t>len(frames) == count else None

    cdef Py_ssize_t request_of(self, uint32_t real) noexcept:
        # the latest request for one page that was answered with a frame; -1: none
        cdef Py_ssize_t n
        cdef Given *given
        for n in range(self.nr_given - 1, max(self.nr_given - LATELY, 0) - 1, -1):
            given = &self.given[n % LATELY]
            if given.gfp_mask and given.pfn != NO_PAGE and given.real == real:
                return n
        return -1

    cdef list latest(self, uint32_t count, bint contiguous):
        # (frame here, recorded frame) of the latest requests for a page each, or of one block; None: not so many
        cdef Py_ssize_t n
        cdef Given *given
        cdef list found = []
        for n in range(self.nr_given - 1, max(self.nr_given - LATELY, 0) - 1, -1):
            given = &self.given[n % LATELY]
            if given.pfn == NO_PAGE or given.pfn >= self.p.g.end or self.p.g.map[given.pfn].flags & PG_slab:
                continue
            if contiguous and given.count >= count:
                return [(given.pfn + j, given.real + j) for j in range(count)]
            if not contiguous and given.gfp_mask:
                found.append((given.pfn, given.real))
                if <uint32_t>len(found) == count:
                    found.reverse()
                    return found
        return None

    # ---------------------------------------------------------------- what came of it

    def snapshot(self):
        """The state as recordings have it: vmap and kmap."""
        found = {"vmap": {"busy": self.areas.busy, "free": self.areas.free, "purge": self.areas.purge,
                          "vmap_lazy_nr": self.areas.lazy_nr}}
        if self.kmap is not None:
            found["kmap"] = self.kmap.snapshot()
        return found


def _runs(va, pages):
    # (va, first frame, number) of each run of consecutive frames
    runs = []
    run = None
    for at, pfn in enumerate(pages):
        if run is not None and pfn == run[1] + run[2]:
            run[2] += 1
        else:
            run = [va + (at << PAGE_SHIFT), pfn, 1]
            runs.append(run)
    return runs
