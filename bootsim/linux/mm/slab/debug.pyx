"""SLAB's checks of its objects: red zones, poison, who had an object last (mm/slab.c with DEBUG_SLAB).

An object of a cache with all of them; what the caller has begins at obj_offset:

    | red zone, 8 bytes | object, 6b .. a5 when free | red zone, 8 bytes | 4 bytes | last user |

Objects that are aligned to more than eight bytes, as kmalloc()'s are, have poison alone, and so have large ones.

Differs: no stack is dumped. Addresses are shown, as there. Who called is not known: `_stext` stands for it.
"""

from libc.stdint cimport uint32_t, uint64_t
from libc.string cimport memset

from bootsim.linux.mm.page_alloc.gfp cimport __GFP_NOWARN
from bootsim.linux.mm.slab.structs cimport SlabCache, SlabPage, obj_freelist, off_slab
from bootsim.linux.mm.slab_common cimport (
    SLAB_POISON, SLAB_RED_ZONE, SLAB_STORE_USER, SLAB_TYPESAFE_BY_RCU, PageSource, SlabAllocator)
from bootsim.page cimport PAGE_SIZE

from bootsim.linux.kernel.panic import TAINT_BAD_PAGE, add_taint, print_tainted
from bootsim.linux.kernel.printk import KERN_WARNING, printk
from bootsim.linux.lib.hexdump import hex_line
from bootsim.linux.mm.page_alloc import format_gfp_flags
from bootsim.linux.mm.slab_common import kernel_bug

cdef enum:
    ERR = 3                 # KERN_ERR
    REDZONE_BYTES = 8
    REDZONE_ALIGN = 8
    ROW = 16                # bytes of a line of a report
    MOST_ROWS = 5
cdef uint64_t RED_INACTIVE = 0x09F911029D74E35BULL
cdef uint64_t RED_ACTIVE = 0xD84156C5635688C0ULL


cdef class SlabChecks(SlabAllocator):
    """What a build with DEBUG_SLAB does to objects, and says of them."""

    def __init__(self, k, PageSource pages=None):
        super().__init__(k, pages)
        config = k.build.config
        self.debug = config.DEBUG_SLAB
        self.debug_pagealloc = config.DEBUG_PAGEALLOC and bool(k.mm.debug_pagealloc_enabled)
        self.caller = k.build.symbols.stext
        if self.debug:
            self.cache_create_mask |= SLAB_RED_ZONE | SLAB_POISON | SLAB_STORE_USER

    # ---------------------------------------------------------------- what lies where

    cdef uint32_t forced_flags(self, SlabCache s, uint32_t flags) noexcept:
        """With which checks a cache is made, whatever was asked for.

        Source: mm/slab.c __kmem_cache_create()
        """
        cdef uint32_t more = REDZONE_ALIGN + 2 * REDZONE_BYTES
        # A large object gets red zones where they do not take it past the next power of two.
        if s.size < 4096 or (s.size - 1).bit_length() == (s.size - 1 + more).bit_length():
            flags |= SLAB_RED_ZONE | SLAB_STORE_USER
        if not flags & SLAB_TYPESAFE_BY_RCU:
            flags |= SLAB_POISON
        return flags

    cdef uint32_t with_red_zones(self, SlabCache s, uint32_t size, uint32_t flags) noexcept:
        if flags & SLAB_RED_ZONE:
            s.obj_offset += REDZONE_BYTES
            size += 2 * REDZONE_BYTES
        if flags & SLAB_STORE_USER:
            size += REDZONE_ALIGN if flags & SLAB_RED_ZONE else 4
        return size

    cdef bint wants_whole_pages(self, SlabCache s, uint32_t size, uint32_t flags) noexcept:
        # with debug_pagealloc a free object's pages could be unmapped: it gets pages of its own
        return (self.debug_pagealloc and flags & SLAB_POISON != 0 and size >= 256
                and s.object_size > self.kmalloc_min_size and (size < PAGE_SIZE or size % PAGE_SIZE == 0))

    cdef bint is_debug_pagealloc_cache(self, SlabCache s) noexcept:
        return self.debug_pagealloc and off_slab(s) and s.size % PAGE_SIZE == 0

    cdef void poison_obj(self, SlabCache s, uint32_t objp, int value) noexcept:
        cdef unsigned char *at = self.at(objp + s.obj_offset)
        memset(at, value, s.object_size)
        at[s.object_size - 1] = POISON_END

    cdef uint32_t dbg_redzone1(self, SlabCache s, uint32_t objp) noexcept:
        return objp + s.obj_offset - REDZONE_BYTES

    cdef uint32_t dbg_redzone2(self, SlabCache s, uint32_t objp) noexcept:
        return objp + s.size - REDZONE_BYTES - (REDZONE_ALIGN if s.flags & SLAB_STORE_USER else 0)

    cdef uint32_t dbg_userword(self, SlabCache s, uint32_t objp) noexcept:
        return objp + s.size - 4

    cdef uint64_t redzone(self, uint32_t va) except? 0:
        return int.from_bytes(self.memory.read(self.pa(va), REDZONE_BYTES), "little")

    cdef int set_redzones(self, SlabCache s, uint32_t objp, uint64_t value) except -1:
        word = value.to_bytes(REDZONE_BYTES, "little")
        self.memory.write(self.pa(self.dbg_redzone1(s, objp)), word)
        self.memory.write(self.pa(self.dbg_redzone2(s, objp)), word)
        return 0

    # ---------------------------------------------------------------- reports

    cdef int say(self, str text, str func, int level=ERR) except -1:
        """Log one line of a report."""
        printk(self.k, level, "{text}", text=text, func=func)

    cdef int slab_error(self, SlabCache s, str function, str what) except -1:
        """Tell that something is wrong with a cache.

        Source: mm/slab.c __slab_error()
        """
        self.say(f"slab error in {function}(): cache `{s.name}': {what}", "__slab_error")
        add_taint(self.k, TAINT_BAD_PAGE)

    cdef int bug(self, int line, str func) except -1:
        """Tell that the kernel stops here. It would end whoever asked; here it goes on without what was asked."""
        kernel_bug(self.k, f"mm/slab.c:{line}", func)

    cdef int say_redzones(self, SlabCache s, uint32_t objp, str func) except -1:
        """Show both red zones of an object."""
        self.say(f"{objp:08x}: redzone 1:{self.redzone(self.dbg_redzone1(s, objp)):#x}, "
                 f"redzone 2:{self.redzone(self.dbg_redzone2(s, objp)):#x}", func)

    cdef int dump_line(self, bytes data, int offset) except -1:
        """Show up to 16 bytes of an object that should be poison.

        Source: mm/slab.c dump_line(), lib/hexdump.c
        """
        row = data[offset:offset + ROW]
        self.say(f"{offset:03x}: {hex_line(row)}", "dump_line")
        wrong = [byte ^ POISON_FREE for byte in row if byte != POISON_FREE]
        if len(wrong) == 1 and not wrong[0] & (wrong[0] - 1):
            self.say("Single bit error detected. Probably bad RAM.", "dump_line")
            self.say("Run a memory test tool.", "dump_line")

    cdef int print_objinfo(self, SlabCache s, uint32_t objp, int rows) except -1:
        """Tell of an object, with its first bytes.

        Source: mm/slab.c print_objinfo()
        """
        if s.flags & SLAB_RED_ZONE:
            self.say(f"Redzone: {self.redzone(self.dbg_redzone1(s, objp)):#x}/"
                     f"{self.redzone(self.dbg_redzone2(s, objp)):#x}", "print_objinfo")
        if s.flags & SLAB_STORE_USER:
            user = self.memory.load32(self.pa(self.dbg_userword(s, objp)))
            symbol = self.k.symbol(user) if user else None
            self.say(f"Last user: ({symbol.name if symbol is not None else f'{user:#x}'})", "print_objinfo")
        data = self.memory.read(self.pa(objp + s.obj_offset), s.object_size)
        for offset in range(0, min(s.object_size, rows * ROW), ROW):
            self.dump_line(data, offset)

    # ---------------------------------------------------------------- checks

    cdef int check_poison_obj(self, SlabCache s, uint32_t s_mem, uint32_t objp) except -1:
        """See whether a free object is as it was left; tell where it is not, up to six lines, and of its neighbours.

        Source: mm/slab.c check_poison_obj()
        """
        cdef uint32_t i = 0
        cdef uint32_t rows = 0
        cdef uint32_t size = s.object_size
        cdef uint32_t index = (objp - s_mem) // s.size
        if self.is_debug_pagealloc_cache(s):
            return 0
        data = self.memory.read(self.pa(objp + s.obj_offset), size)
        expected = bytes((POISON_FREE,)) * (size - 1) + bytes((POISON_END,))
        if data == expected:
            return 0
        while i < size:
            if data[i] != expected[i]:
                if not rows:
                    self.say(f"Slab corruption ({print_tainted(self.k)}): {s.name} start={objp + s.obj_offset:08x}, "
                             f"len={size}", "check_poison_obj")
                    self.print_objinfo(s, objp, 0)
                i = i // ROW * ROW
                self.dump_line(data, i)
                i += ROW
                rows += 1
                if rows > MOST_ROWS:
                    break
            i += 1  # behind a line that was shown, too: its next byte is not looked at
        for name, other in (("Prev", index - 1 if index else s.num), ("Next", index + 1)):
            if other < s.num:
                objp = s_mem + <uint32_t>other * s.size
                self.say(f"{name} obj: start={objp + s.obj_offset:08x}, len={size}", "check_poison_obj")
                self.print_objinfo(s, objp, 2)
        return 0

    cdef int cache_init_objs_debug(self, SlabCache s, uint32_t s_mem) except -1:
        # Source: mm/slab.c cache_init_objs_debug(): a constructor runs here, or whenever a poisoned object is given
        cdef uint32_t i, objp
        for i in range(s.num):
            objp = s_mem + i * s.size
            if s.flags & SLAB_STORE_USER:
                self.memory.store32(self.pa(self.dbg_userword(s, objp)), 0)
            if s.flags & SLAB_RED_ZONE:
                self.set_redzones(s, objp, RED_INACTIVE)
            if s.ctor is not None and not s.flags & SLAB_POISON:
                s.ctor(objp + s.obj_offset)
            if s.flags & SLAB_RED_ZONE:
                self.check_zones(s, objp, "cache_init_objs_debug", "constructor overwrote the {} of an object", True)
            if s.flags & SLAB_POISON:
                self.poison_obj(s, objp, POISON_FREE)
        return 0

    cdef int check_zones(self, SlabCache s, uint32_t objp, str func, str what, bint end_first) except -1:
        """Tell of each red zone of a free object that is not whole."""
        zones = [("start", self.dbg_redzone1(s, objp)), ("end", self.dbg_redzone2(s, objp))]
        for name, va in reversed(zones) if end_first else zones:
            if self.redzone(va) != RED_INACTIVE:
                self.slab_error(s, func, what.format(name))

    cdef int slab_destroy_debugcheck(self, SlabCache s, const SlabPage *slab) except -1:
        # Source: mm/slab.c slab_destroy_debugcheck()
        cdef uint32_t i, objp
        if obj_freelist(s) and s.flags & SLAB_POISON:
            self.poison_obj(s, slab.freelist - s.obj_offset, POISON_FREE)
        for i in range(s.num):
            objp = slab.s_mem + i * s.size
            if s.flags & SLAB_POISON:
                self.check_poison_obj(s, slab.s_mem, objp)
            if s.flags & SLAB_RED_ZONE:
                self.check_zones(s, objp, "slab_destroy_debugcheck", "{} of a freed object was overwritten", False)
        return 0

    cdef bint is_free_in_slab(self, SlabCache s, const SlabPage *slab, uint32_t objp) except -1:
        """Whether an object that comes back to its slab is there already, which the log tells.

        Source: mm/slab.c slab_put_obj()
        """
        cdef uint32_t i
        cdef uint32_t index = (objp - slab.s_mem) // s.size
        for i in range(slab.active, s.num):
            if self.at(slab.freelist)[i] == index:
                self.say(f"slab: double free detected in cache '{s.name}', objp {objp:08x}", "slab_put_obj")
                self.bug(2536, "slab_put_obj")
                return True
        return False

    cdef uint32_t cache_alloc_debugcheck_after(self, SlabCache s, const SlabPage *slab, uint32_t objp) except? 1:
        """Check an object that is about to be given, and mark it as given; the address for the caller.

        Source: mm/slab.c cache_alloc_debugcheck_after()
        """
        func = "cache_alloc_debugcheck_after"
        if s.flags & SLAB_POISON:
            self.check_poison_obj(s, slab.s_mem, objp)
            self.poison_obj(s, objp, POISON_INUSE)
        if s.flags & SLAB_STORE_USER:
            self.memory.store32(self.pa(self.dbg_userword(s, objp)), self.caller)
        if s.flags & SLAB_RED_ZONE:
            if not (self.redzone(self.dbg_redzone1(s, objp)) == RED_INACTIVE
                    == self.redzone(self.dbg_redzone2(s, objp))):
                self.slab_error(s, func, "double free, or memory outside object was overwritten")
                self.say_redzones(s, objp, func)
            self.set_redzones(s, objp, RED_ACTIVE)
        objp += s.obj_offset
        if s.ctor is not None and s.flags & SLAB_POISON:
            s.ctor(objp)
        if objp & (self.arch_slab_minalign - 1):
            self.say(f"0x{objp:08x}: not aligned to ARCH_SLAB_MINALIGN={self.arch_slab_minalign}", func)
        return objp

    cdef uint32_t cache_free_debugcheck(self, SlabCache s, const SlabPage *slab, uint32_t va) except? 1:
        """Check what is freed, and mark it as free; the object's address, or 0: the kernel stops.

        Source: mm/slab.c cache_free_debugcheck(), verify_redzone_free()
        """
        cdef uint32_t objp = va - s.obj_offset
        cdef uint32_t index
        if slab.cache != s.va:
            self.bug(2711, "cache_free_debugcheck")
            return 0
        if s.flags & SLAB_RED_ZONE:
            first, second = self.redzone(self.dbg_redzone1(s, objp)), self.redzone(self.dbg_redzone2(s, objp))
            if not first == second == RED_ACTIVE:
                self.slab_error(s, "verify_redzone_free", "double free detected"
                                if first == second == RED_INACTIVE else "memory outside object was overwritten")
                self.say_redzones(s, objp, "verify_redzone_free")
            self.set_redzones(s, objp, RED_INACTIVE)
        if s.flags & SLAB_STORE_USER:
            self.memory.store32(self.pa(self.dbg_userword(s, objp)), self.caller)
        index = (objp - slab.s_mem) // s.size
        if index >= s.num or objp != slab.s_mem + index * s.size:
            self.bug(2727 if index >= s.num else 2728, "cache_free_debugcheck")
            return 0
        if s.flags & SLAB_POISON:
            self.poison_obj(s, objp, POISON_FREE)
        return objp

    cdef int slab_out_of_memory(self, SlabCache s, uint32_t gfp_mask) except -1:
        # Source: mm/slab.c slab_out_of_memory()
        if gfp_mask & __GFP_NOWARN:
            return 0
        func = "slab_out_of_memory"
        num = s.total_slabs * s.num
        self.say(f"SLAB: Unable to allocate memory on node 0, gfp={gfp_mask:#x}({format_gfp_flags(gfp_mask)})", func,
                 KERN_WARNING)
        self.say(f"  cache: {s.name}, object size: {s.size}, order: {s.gfporder}", func, KERN_WARNING)
        self.say(f"  node 0: slabs: {s.total_slabs - s.free_slabs}/{s.total_slabs}, objs: {num - s.free_objects}/{num}",
                 func, KERN_WARNING)
        return 0
