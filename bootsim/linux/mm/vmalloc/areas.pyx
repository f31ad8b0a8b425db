"""Which kernel virtual addresses are taken, free, or given back and not yet usable again (mm/vmalloc.c).

Free ranges lie in a tree by address, and each node knows the largest range below it. The search goes down by that, and
takes the lowest range that holds size + align - 1 bytes, or one that it comes by and that happens to do: so its answer
depends on the tree's shape. A range that is given back waits on a list, with others, until so much of it has come
together that flushing the TLB pays, or until no room is found.

A struct vmap_area's own memory comes from `cache`: alloc(gfp) gives an address or 0, free(address) takes it back. In a
replay, whose records tell of these objects by themselves, there is none.
"""

from libc.stdint cimport uint32_t
from libc.stdlib cimport free, malloc, realloc
from libc.string cimport memcpy

from bootsim.linux.lib.rbtree cimport RB_LEFT, RB_NONE, RB_RIGHT, RbTree
from bootsim.linux.mm.page_alloc cimport GFP_KERNEL, GFP_NOWAIT
from bootsim.page cimport PAGE_SHIFT

cdef enum:
    FIRST_FREE = 1
    LAST_FREE = 0xFFFFFFFF


cdef inline uint32_t align_up(uint32_t value, uint32_t align) noexcept:
    return (value + align - 1) & ~(align - 1)


cdef class RangeTree(RbTree):
    """A tree of ranges that do not overlap, in order of address."""

    def __cinit__(self, bint augmented=False):
        self.start = <uint32_t *>malloc(self.capacity * sizeof(uint32_t))
        self.va_at = <uint32_t *>malloc(self.capacity * sizeof(uint32_t))
        if self.start == NULL or self.va_at == NULL:
            raise MemoryError

    def __dealloc__(self):
        free(self.start)
        free(self.va_at)

    def copy_from(self, RbTree other not None):
        """Become a tree in the same state as another."""
        cdef RangeTree ranges = other
        RbTree.copy_from(self, other)
        self.resize_ranges()
        memcpy(self.start, ranges.start, self.capacity * sizeof(uint32_t))
        memcpy(self.va_at, ranges.va_at, self.capacity * sizeof(uint32_t))

    cdef int grow(self) except -1:
        RbTree.grow(self)
        self.resize_ranges()
        return 0

    def resize_ranges(self):
        """Make room for as many ranges as nodes."""
        cdef uint32_t *start = <uint32_t *>realloc(self.start, self.capacity * sizeof(uint32_t))
        cdef uint32_t *va_at
        if start == NULL:
            raise MemoryError
        self.start = start
        va_at = <uint32_t *>realloc(self.va_at, self.capacity * sizeof(uint32_t))
        if va_at == NULL:
            raise MemoryError
        self.va_at = va_at

    cdef uint32_t end(self, uint32_t n) noexcept:
        return self.start[n] + self.nodes[n].size

    cdef int links(self, uint32_t start, uint32_t end, uint32_t at, Links *found) except -1:
        # find_va_links(): from node `at` on, or from the root
        found.parent, found.side = RB_NONE, RB_LEFT
        at = at if at else self.root
        while at:
            found.parent = at
            if start < self.end(at) and end <= self.start[at]:
                found.side = RB_LEFT
            elif end > self.start[at] and start >= self.end(at):
                found.side = RB_RIGHT
            else:
                raise ValueError(f"{start:#x}-{end:#x} overlaps with {self.start[at]:#x}-{self.end(at):#x}")
            at = self.nodes[at].child[found.side]
        return 0

    cdef uint32_t link(self, uint32_t start, uint32_t end, uint32_t va_at, Links *where) except 0:
        # link_va()
        cdef uint32_t n = self.new_node()
        self.start[n], self.va_at[n], self.nodes[n].size = start, va_at, end - start
        self.rb_link_node(n, where.parent, where.side)
        self.rb_insert_color(n)
        self.nodes[n].most = 0
        return n

    cdef uint32_t add(self, uint32_t start, uint32_t end, uint32_t va_at, uint32_t at) except 0:
        # insert_vmap_area(), insert_vmap_area_augment()
        cdef Links where
        cdef uint32_t n
        self.links(start, end, at, &where)
        n = self.link(start, end, va_at, &where)
        if self.augmented:
            self.propagate(n, RB_NONE)
        return n

    cdef int remove(self, uint32_t n) except -1:
        # unlink_va()
        self.rb_erase(n)
        self.free_node(n)
        return 0

    cdef uint32_t find(self, uint32_t addr) noexcept:
        # __find_vmap_area(): the range that holds an address
        cdef uint32_t n = self.root
        while n:
            if addr < self.start[n]:
                n = self.nodes[n].child[RB_LEFT]
            elif addr >= self.end(n):
                n = self.nodes[n].child[RB_RIGHT]
            else:
                return n
        return RB_NONE

    def area(self, uint32_t n):
        """A node's range and where its struct vmap_area lies: (start, end, va), va 1 where nobody keeps it."""
        self.check(n)
        return self.start[n], self.end(n), self.va_at[n]

    def ranges(self):
        """Every range as (start, end), in order of address."""
        return [(self.start[n], self.end(n)) for n in self]


cdef class VmapAreas:
    """The kernel's virtual address ranges: `busy` and `free` in order, `purge` newest first, `lazy_nr` in pages.

    Ranges cover addresses as the kernel's do; free ones lie in [1, 0xffffffff).
    """

    def __init__(self, busy, cache=None):
        """Begin with the ranges (start, end) that are taken: vmalloc_init(), vmap_init_free_space()."""
        cdef uint32_t at = FIRST_FREE
        self.busy_tree, self.free_tree = RangeTree(), RangeTree(augmented=True)
        self.purge_list, self.preload, self.lazy_nr, self.cache = [], {}, 0, cache
        for start, end in busy:
            self.busy_tree.add(start, end, self.object_(GFP_NOWAIT), RB_NONE)
        for start, end in self.busy_tree.ranges():
            if start > at:
                self.free_tree.add(at, start, self.object_(GFP_NOWAIT), RB_NONE)
            at = end
        if LAST_FREE > at:
            self.free_tree.add(at, LAST_FREE, self.object_(GFP_NOWAIT), RB_NONE)

    def __deepcopy__(self, memo):
        from copy import deepcopy

        cdef VmapAreas other = VmapAreas.__new__(VmapAreas)
        memo[id(self)] = other
        other.busy_tree, other.free_tree = deepcopy(self.busy_tree, memo), deepcopy(self.free_tree, memo)
        other.purge_list, other.preload = list(self.purge_list), dict(self.preload)
        other.purged = self.purged
        other.lazy_nr, other.cache = self.lazy_nr, deepcopy(self.cache, memo)
        return other

    def object_(self, uint32_t gfp_mask):
        """Take a struct vmap_area: its address, or 0 when there is no memory; 1 where nobody keeps them."""
        return 1 if self.cache is None else self.cache.alloc(gfp_mask)

    cdef int forget(self, uint32_t va_at) except -1:
        if self.cache is not None:
            self.cache.free(va_at)
        return 0

    # ---------------------------------------------------------------- looking

    @property
    def busy(self):
        """The ranges that are taken, as [start, end], in order of address."""
        return [list(range_) for range_ in self.busy_tree.ranges()]

    @property
    def free(self):
        """The free ranges, as [start, end], in order of address."""
        return [list(range_) for range_ in self.free_tree.ranges()]

    @property
    def purge(self):
        """The ranges that wait to be free again, as [start, end], the newest first."""
        return [[start, end] for start, end, _ in reversed(self.purge_list)]

    def find(self, uint32_t addr):
        """The taken range that holds an address, as (start, end), or None.

        Source: mm/vmalloc.c find_vmap_area()
        """
        cdef uint32_t n = self.busy_tree.find(addr)
        return (self.busy_tree.start[n], self.busy_tree.end(n)) if n else None

    def shape(self):
        """The tree of free ranges, from the root: (start, end, largest below, left, right), None for no node."""
        return self.below(self.free_tree.root)

    cdef object below(self, uint32_t n):
        if not n:
            return None
        cdef RangeTree tree = self.free_tree
        return (tree.start[n], tree.end(n), tree.nodes[n].most, self.below(tree.nodes[n].child[RB_LEFT]),
                self.below(tree.nodes[n].child[RB_RIGHT]))

    # ---------------------------------------------------------------- taking

    cdef bint is_within(self, uint32_t n, uint32_t size, uint32_t align, uint32_t vstart) noexcept:
        # is_within_this_va(), with the wrap-around of 32 bits
        cdef uint32_t start = self.free_tree.start[n]
        start = align_up(start if start > vstart else vstart, align)
        if start + size < start or start < vstart:
            return False
        return start + size <= self.free_tree.end(n)

    cdef uint32_t lowest_match(self, uint32_t size, uint32_t align, uint32_t vstart) noexcept:
        # find_vmap_lowest_match()
        cdef RangeTree tree = self.free_tree
        cdef uint32_t n = tree.root
        cdef uint32_t length = size + align - 1
        cdef uint32_t left, right
        while n:
            left = tree.nodes[n].child[RB_LEFT]
            if (tree.nodes[left].most if left else 0) >= length and vstart < tree.start[n]:
                n = left
                continue
            if self.is_within(n, size, align, vstart):
                return n
            right = tree.nodes[n].child[RB_RIGHT]
            if (tree.nodes[right].most if right else 0) >= length:
                n = right
                continue
            n = tree.nodes[n].parent
            while n:
                if self.is_within(n, size, align, vstart):
                    return n
                right = tree.nodes[n].child[RB_RIGHT]
                if (tree.nodes[right].most if right else 0) >= length and vstart <= tree.start[n]:
                    n = right
                    break
                n = tree.nodes[n].parent
        return RB_NONE

    cdef int adjust(self, uint32_t n, uint32_t start, uint32_t size, uint32_t cpu) except -1:
        # classify_va_fit_type(), adjust_va_to_fit_type(); 1: no memory for the second half
        cdef RangeTree tree = self.free_tree
        cdef uint32_t end = tree.end(n)
        cdef uint32_t low = tree.start[n]
        cdef uint32_t spare = 0
        if low == start and end == start + size:
            spare = tree.va_at[n]
            tree.remove(n)
            return self.forget(spare)
        if low == start:
            tree.start[n] += size
            tree.nodes[n].size -= size
        elif end == start + size:
            tree.nodes[n].size -= size
        else:
            spare = self.preload.pop(cpu, 0) or self.object_(GFP_NOWAIT)
            if not spare:
                return 1
            tree.start[n] = start + size
            tree.nodes[n].size = end - start - size
        tree.propagate(n, RB_NONE)
        if spare:
            tree.add(low, start, spare, n)
        return 0

    def take(self, uint32_t size, uint32_t align, uint32_t vstart, uint32_t vend, uint32_t cpu=0):
        """Take `size` bytes at a multiple of `align` in [vstart, vend) out of what is free; their address, or `vend`.

        Source: mm/vmalloc.c __alloc_vmap_area()
        """
        cdef uint32_t n, start
        if not size or not align or align & (align - 1):
            raise ValueError(f"{size:#x} bytes at a multiple of {align:#x} asked for")
        n = self.lowest_match(size, align, vstart)
        if not n:
            return vend
        start = self.free_tree.start[n]
        start = align_up(start if start > vstart else vstart, align)
        if start + size > vend:
            return vend
        return vend if self.adjust(n, start, size, cpu) else start

    def preload_cpu(self, uint32_t gfp_mask, uint32_t cpu):
        """Keep a struct vmap_area ready for a range that falls in two.

        Source: mm/vmalloc.c alloc_vmap_area()
        """
        if not self.preload.get(cpu) and self.cache is not None:
            self.preload[cpu] = self.object_(gfp_mask)

    def insert_busy(self, uint32_t start, uint32_t end, uint32_t va_at=1):
        """Enter a range among those that are taken.

        Source: mm/vmalloc.c insert_vmap_area()
        """
        if end <= start:
            raise ValueError(f"{start:#x}-{end:#x} is no range")
        self.busy_tree.add(start, end, va_at, RB_NONE)

    # ---------------------------------------------------------------- giving back

    def give_back(self, uint32_t addr, Py_ssize_t lazy_max_pages):
        """Let the taken range that holds `addr` wait to be free; purge when more than `lazy_max_pages` wait.

        Answers whether it did.
        Source: mm/vmalloc.c free_vmap_area_noflush()
        """
        cdef RangeTree tree = self.busy_tree
        cdef uint32_t n = tree.find(addr)
        cdef uint32_t start, end
        if not n:
            raise ValueError(f"nothing is taken at {addr:#x}")
        start, end = tree.start[n], tree.end(n)
        self.purge_list.append((start, end, tree.va_at[n]))
        tree.remove(n)
        self.lazy_nr += (end - start) >> PAGE_SHIFT
        return self.lazy_nr > lazy_max_pages and self.purge_now()

    def purge_now(self):
        """Make free what waits; whether anything did. `purged` is then the range [start, end) that held it all.

        Source: mm/vmalloc.c __purge_vmap_area_lazy()
        """
        waiting = self.purge_list
        if waiting:
            self.purged = min([start for start, _, _ in waiting]), max([end for _, end, _ in waiting])
        self.purge_list = []
        for start, end, va_at in reversed(waiting):
            self.merge_or_add(start, end, va_at)
            self.lazy_nr -= (end - start) >> PAGE_SHIFT
        return bool(waiting)

    cdef int merge_or_add(self, uint32_t start, uint32_t end, uint32_t va_at) except -1:
        # merge_or_add_vmap_area()
        cdef RangeTree tree = self.free_tree
        cdef Links where
        cdef uint32_t after, before, size
        cdef uint32_t n = RB_NONE
        tree.links(start, end, RB_NONE, &where)
        if where.side == RB_LEFT:
            after, before = where.parent, tree.rb_prev(where.parent) if where.parent else RB_NONE
        else:
            after, before = tree.rb_next(where.parent), where.parent
        if after and tree.start[after] == end:
            tree.start[after] = start
            tree.nodes[after].size += end - start
            self.forget(va_at)
            n, va_at = after, tree.va_at[after]
        if before and tree.end(before) == start:
            size = tree.nodes[n].size if n else end - start
            if n:
                tree.remove(n)
            tree.nodes[before].size += size
            self.forget(va_at)
            n = before
        if not n:
            n = tree.link(start, end, va_at, &where)
        tree.propagate(n, RB_NONE)
        return 0

    # ---------------------------------------------------------------- for per-cpu areas, from the top

    cdef uint32_t enclosing(self, uint32_t addr) noexcept:
        # pvm_find_va_enclose_addr(): the free range that holds an address, else the one below it
        cdef RangeTree tree = self.free_tree
        cdef uint32_t n = tree.root
        cdef uint32_t found = RB_NONE
        while n:
            if tree.start[n] <= addr:
                found = n
                if tree.end(n) >= addr:
                    break
                n = tree.nodes[n].child[RB_RIGHT]
            else:
                n = tree.nodes[n].child[RB_LEFT]
        return found

    cdef uint32_t end_from_reverse(self, uint32_t *n, uint32_t align, uint32_t limit) noexcept:
        # pvm_determine_end_from_reverse(): from *n downwards, the first range with an aligned address; *n: which
        cdef RangeTree tree = self.free_tree
        cdef uint32_t addr
        while n[0]:
            addr = tree.end(n[0]) & ~(align - 1)
            addr = addr if addr < limit else limit
            if tree.start[n[0]] < addr:
                return addr
            n[0] = tree.rb_prev(n[0])
        return 0

    cdef bint pcpu_base(self, list offsets, list sizes, uint32_t align, uint32_t vstart, uint32_t vend,
                        uint32_t *found) except? False:
        # the scan of pcpu_get_vm_areas(), round the areas until each fits below the same base
        cdef RangeTree tree = self.free_tree
        cdef int count = len(offsets)
        cdef int last = max(range(count), key=offsets.__getitem__)
        cdef int area = last
        cdef int term = last
        cdef uint32_t start = offsets[area]
        cdef uint32_t end = start + <uint32_t>sizes[area]
        cdef uint32_t last_end = end
        cdef uint32_t n = self.enclosing(vend)
        cdef uint32_t base = self.end_from_reverse(&n, align, vend) - end
        while True:
            if base + last_end < vstart + last_end or not n:
                return False
            if base + end > tree.end(n):
                base = self.end_from_reverse(&n, align, vend) - end
                term = area
                continue
            if base + start < tree.start[n]:
                n = tree.rb_prev(n)
                base = self.end_from_reverse(&n, align, vend) - end
                term = area
                continue
            area = (area + count - 1) % count
            if area == term:
                found[0] = base
                return True
            start = offsets[area]
            end = start + <uint32_t>sizes[area]
            n = self.enclosing(base + end)

    def take_congruent(self, offsets, sizes, uint32_t align, uint32_t vstart, uint32_t vend, uint32_t cpu=0):
        """Take areas that lie to each other as `offsets` do, as high as may be in [vstart, vend); their base, or None.

        They are not among those taken yet (insert_busy).
        Source: mm/vmalloc.c pcpu_get_vm_areas()
        """
        cdef uint32_t base, n
        check_congruent(offsets, sizes, align)
        vstart, vend = align_up(vstart, align), vend & ~(align - 1)
        if vend - vstart < max(offset + size for offset, size in zip(offsets, sizes, strict=True)):
            raise ValueError("more asked for than the vmalloc area has")
        if not self.pcpu_base(list(offsets), list(sizes), align, vstart, vend, &base):
            return None
        taken = []
        for offset, size in zip(offsets, sizes, strict=True):
            n = self.enclosing(base + <uint32_t>offset)
            if not n or self.adjust(n, base + <uint32_t>offset, size, cpu):
                for start, end in taken:
                    self.merge_or_add(start, end, self.object_(GFP_KERNEL))
                return None
            taken.append((base + offset, base + offset + size))
        return base


def check_congruent(offsets, sizes, uint32_t align):
    """Raise ValueError for areas of which the kernel would make a BUG: of nothing, not aligned, or on each other.

    Source: mm/vmalloc.c pcpu_get_vm_areas()
    """
    if not align or align & (align - 1) or any(v % align for v in (*offsets, *sizes)) or not all(sizes):
        raise ValueError(f"areas of {sizes} bytes at {offsets}: expected multiples of {align:#x}")
    areas = sorted(zip(offsets, sizes, strict=True))
    if not areas or any(at + size > after for (at, size), (after, _) in zip(areas, areas[1:])):
        raise ValueError(f"areas of {sizes} bytes at {offsets}: expected at least one, and none on another")
