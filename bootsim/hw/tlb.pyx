"""The translation lookaside buffer: what walks found, kept until an invalidation by CP15 or until its place is needed.

It is the main TLB, unified and set-associative; micro TLBs before it are not modelled. An entry bears the identifier
of the address space (ASID) it was loaded in unless it is global, holds the descriptors' attributes, and is looked up by
the page number of its own size. Domains and permissions are checked at every access, with DACR as it is then. Walks
that end in a translation or access flag fault leave nothing. Which entry gives way is left to the implementation: here
the ways of a set take turns. Where two entries match, which the architecture does not allow, the smaller page's counts.

Nothing here follows the tables: an entry whose descriptor has changed answers as before until it is invalidated.
"""

from collections import namedtuple

cimport cython
from libc.stdint cimport uint32_t, uint64_t
from libc.stdlib cimport calloc, free
from libc.string cimport memcpy

from bootsim.hw.memory cimport PhysicalMemory
from bootsim.hw.mmu cimport (
    FS_ACCESS_FLAG_PAGE,
    FS_ACCESS_FLAG_SECTION,
    FS_NONE,
    WALK_LARGE,
    WALK_SECTION,
    WALK_SMALL,
    WALK_SUPERSECTION,
    Cp15,
    Walk,
    answer,
    check_access,
    old_subpage,
    walk_tables,
)

from bootsim.hw.mmu import ACCESSES, KINDS

cdef enum:
    SCTLR_M = 1 << 0

cdef int[5] SHIFT = [32, 20, 24, 16, 12]  # by WalkKind
cdef int[4] ORDER = [WALK_SMALL, WALK_SECTION, WALK_LARGE, WALK_SUPERSECTION]

TlbEntry = namedtuple("TlbEntry", "va pa kind asid is_global descriptors")
TlbEntry.__doc__ = """One translation held: first addresses, the unit, `asid` of the space it was loaded in.

`descriptors` are (pa, word) of the words it was made from, as they were then.
"""


@cython.final
cdef class Tlb:
    """A main TLB of `entries` translations in sets of `ways`. ValueError unless entries / ways is a power of two.

    `hits`, `misses` (each one walk), `evictions` and `invalidated` count entries; `operations` counts CP15 operations
    by name. With `listens` false these have no effect and `forgotten` counts them: what a forgotten flush would do.
    """

    def __cinit__(self, entries=128, ways=2):
        sets = entries // ways if ways > 0 else 0
        if sets <= 0 or sets * ways != entries or sets & (sets - 1) or entries > 1 << 16:
            raise ValueError(f"a TLB of {entries} entries in {ways} ways: their quotient is no power of two")
        self.sets, self.ways = sets, ways
        self.lines = <Entry *>calloc(entries, sizeof(Entry))
        self.victim = <uint32_t *>calloc(sets, sizeof(uint32_t))
        if self.lines == NULL or self.victim == NULL:
            raise MemoryError
        self.listens = True
        self.operations = {}

    def __dealloc__(self):
        free(self.lines)
        free(self.victim)

    def __deepcopy__(self, memo):
        cdef Tlb new = Tlb(self.sets * self.ways, self.ways)
        memcpy(new.lines, self.lines, self.sets * self.ways * sizeof(Entry))
        memcpy(new.victim, self.victim, self.sets * sizeof(uint32_t))
        memcpy(new.held, self.held, sizeof(self.held))
        new.hits, new.misses, new.evictions = self.hits, self.misses, self.evictions
        new.invalidated, new.forgotten, new.listens = self.invalidated, self.forgotten, self.listens
        new.operations = dict(self.operations)
        return new

    # ------------------------------------------------------------ translation
    # Counters go up by plain assignments: with `nonecheck` (make debug, make asan) Cython wants the GIL for `+=`.

    cdef Entry *lookup(self, Cp15 cp15, uint32_t va) noexcept nogil:
        """The entry that translates `va` in the address space of CONTEXTIDR, or NULL."""
        cdef uint32_t asid = cp15.contextidr & 0xFF
        cdef int kind, shift
        cdef uint32_t _way
        cdef Entry *e
        for kind in ORDER:
            if not self.held[kind]:
                continue
            shift = SHIFT[kind]
            e = self.lines + (va >> shift & (self.sets - 1)) * self.ways
            for _way in range(self.ways):
                if (e.valid and e.w.kind == kind and (e.w.va ^ va) >> shift == 0
                        and (not e.w.not_global or e.asid == asid)):
                    return e
                e += 1
        return NULL

    cdef void fill(self, Cp15 cp15, Walk *w) noexcept nogil:
        cdef int shift = SHIFT[w.kind]
        cdef uint32_t index = w.va >> shift & (self.sets - 1)
        cdef uint32_t within = (<uint32_t>1 << shift) - 1
        cdef uint32_t _way
        cdef Entry *e = self.lines + index * self.ways
        for _way in range(self.ways):
            if not e.valid:
                break
            e += 1
        else:
            e = self.lines + index * self.ways + self.victim[index]
            self.victim[index] = (self.victim[index] + 1) % self.ways
            self.held[e.w.kind] = self.held[e.w.kind] - 1
            self.evictions = self.evictions + 1
        e.w = w[0]
        e.w.status = FS_NONE  # the rights are asked at each access
        e.w.va &= ~within
        e.w.pa -= w.va & within
        e.valid = True
        e.asid = cp15.contextidr & 0xFF
        self.held[w.kind] = self.held[w.kind] + 1

    cdef void access(self, PhysicalMemory ram, Cp15 cp15, uint32_t va, int access, bint privileged,
                     Walk *w) noexcept nogil:
        """Translate as the processor does: from an entry, or by a walk that is then kept; w.status has the fault."""
        cdef Entry *e
        if not cp15.sctlr & SCTLR_M:
            walk_tables(ram, cp15, va, w)
            return
        e = self.lookup(cp15, va)
        if e != NULL:
            self.hits = self.hits + 1
            w[0] = e.w
            w.pa += va - w.va
            w.va = va
            if cp15.id_mmfr0 == 0:
                old_subpage(cp15.sctlr, w)
            check_access(cp15, w, access, privileged)
            return
        self.misses = self.misses + 1
        walk_tables(ram, cp15, va, w)
        if w.status != FS_NONE:
            return
        check_access(cp15, w, access, privileged)
        if w.status != FS_ACCESS_FLAG_PAGE and w.status != FS_ACCESS_FLAG_SECTION:
            self.fill(cp15, w)

    def translate(self, PhysicalMemory ram not None, Cp15 cp15 not None, va, access="read", bint privileged=True):
        """Translate a virtual address (modulo 2**32): a Translation, or the Fault the access takes.

        `access` is "read", "write" or "execute".
        """
        cdef Walk w
        cdef int kind = ACCESSES[access]
        self.access(ram, cp15, va & 0xFFFFFFFF, kind, privileged, &w)
        return answer(cp15, &w, kind)

    def run(self, PhysicalMemory ram not None, Cp15 cp15 not None, addresses, access="read", bint privileged=True,
            rounds=1):
        """Access `addresses` (a buffer of unsigned 32-bit numbers) in turn, `rounds` times; how many faulted."""
        cdef const uint32_t[::1] stream = addresses
        cdef int kind = ACCESSES[access]
        cdef Py_ssize_t i, _n, times = rounds
        cdef uint64_t faults = 0
        cdef Walk w
        with nogil:
            for _n in range(times):
                for i in range(stream.shape[0]):
                    self.access(ram, cp15, stream[i], kind, privileged, &w)
                    faults += w.status != FS_NONE
        return faults

    def holds(self, Cp15 cp15 not None, va):
        """Whether an access to `va` would hit."""
        return self.lookup(cp15, va & 0xFFFFFFFF) != NULL

    # ------------------------------------------------------------ CP15

    cdef bint heard(self, str name):
        self.operations[name] = self.operations.get(name, 0) + 1
        self.forgotten += not self.listens
        return self.listens

    cdef void drop(self, Entry *e) noexcept nogil:
        e.valid = False
        self.held[e.w.kind] = self.held[e.w.kind] - 1
        self.invalidated = self.invalidated + 1

    def tlbiall(self):
        """Invalidate everything, global entries too."""
        cdef uint32_t i
        if self.heard("TLBIALL"):
            for i in range(self.sets * self.ways):
                if self.lines[i].valid:
                    self.drop(self.lines + i)

    def tlbiasid(self, uint32_t asid):
        """Invalidate what is of one address space; global entries stay."""
        cdef uint32_t i
        cdef Entry *e
        if self.heard("TLBIASID"):
            for i in range(self.sets * self.ways):
                e = self.lines + i
                if e.valid and e.w.not_global and e.asid == asid & 0xFF:
                    self.drop(e)

    def tlbimva(self, uint32_t mva):
        """Invalidate what translates an address (bits 31:12) in the space of bits 7:0, and global entries of it."""
        if self.heard("TLBIMVA"):
            self.drop_address(mva, mva & 0xFF)

    def tlbimvaa(self, uint32_t mva):
        """Invalidate what translates an address (bits 31:12) in any address space."""
        if self.heard("TLBIMVAA"):
            self.drop_address(mva, -1)

    cdef int drop_address(self, uint32_t va, int asid) except -1:
        cdef int kind
        cdef uint32_t _way
        cdef Entry *e
        for kind in ORDER:
            if not self.held[kind]:
                continue
            e = self.lines + (va >> SHIFT[kind] & (self.sets - 1)) * self.ways
            for _way in range(self.ways):
                if (e.valid and e.w.kind == kind and (e.w.va ^ va) >> SHIFT[kind] == 0
                        and (asid < 0 or not e.w.not_global or e.asid == asid)):
                    self.drop(e)
                e += 1
        return 0

    # ------------------------------------------------------------ what there is

    def entries(self):
        """Return the entries as TlbEntry, in the order of sets and ways."""
        cdef uint32_t i
        cdef Entry *e
        found = []
        for i in range(self.sets * self.ways):
            e = self.lines + i
            if e.valid:
                words = ((e.w.l1_pa, e.w.l1),)
                if e.w.kind == WALK_SMALL or e.w.kind == WALK_LARGE:
                    words += ((e.w.l2_pa, e.w.l2),)
                found.append(TlbEntry(e.w.va, e.w.pa, KINDS[e.w.kind], e.asid, not e.w.not_global, words))
        return found

    def statistics(self):
        """Return the counters by name, the operations' among them."""
        return {"hits": self.hits, "misses": self.misses, "evictions": self.evictions,
                "invalidated": self.invalidated, "forgotten": self.forgotten, **self.operations}

    def __len__(self):
        return sum(self.held[kind] for kind in ORDER)

    def __repr__(self):
        return (f"<Tlb {self.sets} sets of {self.ways}: {len(self)} entries, {self.hits} hits, {self.misses} misses, "
                f"{self.evictions} evictions>")
