"""What the kernel's code calls of its slab allocator, whichever that is (include/linux/slab.h).

Addresses are virtual; None is the kernel's NULL.
"""

from libc.stdint cimport uint32_t, uint64_t
from libc.string cimport memmove

from bootsim.errno cimport EINVAL, ENOMEM
from bootsim.linux.mm.page_alloc.gfp cimport __GFP_ZERO, GFP_KERNEL
from bootsim.linux.mm.slab_common cimport SLAB_PANIC, UP, ZERO_SIZE_PTR, KmemCache, SlabAllocator, check_own

from bootsim.linux.kernel.panic import panic
from bootsim.linux.kernel.printk import KERN_ERR, KERN_WARNING, printk
from bootsim.linux.mm.slab_common import SlabError, slab_warning


cdef SlabAllocator _allocator(k):
    cdef SlabAllocator a = k.mm.slab
    if a is None or a.slab_state < UP:
        raise SlabError("no slab allocator yet: the boot has not come to kmem_cache_init()")
    return a


def kmem_cache_create_usercopy(k, str name not None, uint32_t size, uint32_t align=0, uint32_t flags=0,
                               uint32_t useroffset=0, uint32_t usersize=0, ctor=None):
    """Make a cache of objects of `size` bytes, or share one that fits; None when it fails, and the log says so.

    [useroffset, useroffset + usersize) of an object may be copied to and from programs. `ctor` is called with the
    address of every object when its slab is made. A name is copied, as that of a module is.
    Raises KernelPanic when it fails with SLAB_PANIC.
    Source: mm/slab_common.c kmem_cache_create_usercopy()
    Differs: what sysfs allocates for the cache's folder is not allocated.
    """
    cdef SlabAllocator a = _allocator(k)
    cdef KmemCache s = None
    cdef int error = _sanity_check(a, name, size)
    if error:
        return _not_created(k, name, error, flags)
    if size == 0 or size > 1 << 30 or (align > a.arch_slab_minalign and align & (align - 1)
                                       or align > 1 << a.kmalloc_shift_max):
        raise SlabError(f"cache {name}: objects of {size} bytes aligned to {align}: expected a size up to 1 GiB, and a "
                        f"power of two up to {1 << a.kmalloc_shift_max}")
    if flags & ~a.flags_permitted:
        error = -EINVAL
    else:
        flags &= a.cache_create_mask
        if not usersize and useroffset:
            slab_warning(k, "mm/slab_common.c:335", func="kmem_cache_create_usercopy")
            useroffset = 0
        elif size < usersize or size - usersize < useroffset:
            slab_warning(k, "mm/slab_common.c:336", func="kmem_cache_create_usercopy")
            useroffset = usersize = 0
        if not usersize:
            s = a.alias(name, size, align, flags, ctor)
        if s is None:
            s, error = _create_cache(a, name, size, align, flags, useroffset, usersize, ctor)
    return _not_created(k, name, error, flags) if error else s


cdef int _sanity_check(SlabAllocator a, str name, uint32_t size) except 1:
    # Source: mm/slab_common.c kmem_cache_sanity_check(), of CONFIG_DEBUG_VM
    if not a.g.debug_vm:
        return 0
    if size > 1 << a.kmalloc_shift_max:
        printk(a.k, KERN_ERR, "kmem_cache_create({name}) integrity check failed", name=name,
               func="kmem_cache_sanity_check")
        return -EINVAL
    if " " in name:
        slab_warning(a.k, "mm/slab_common.c:95", func="kmem_cache_sanity_check")
    return 0


cdef _not_created(k, str name, int error, uint32_t flags):
    if flags & SLAB_PANIC:
        panic(k, f"kmem_cache_create: Failed to create slab '{name}'. Error {error}",
              "no free memory for it" if error == -ENOMEM else "flags or a size that no cache may have")
    printk(k, KERN_WARNING, "kmem_cache_create({name}) failed with error {error}", name=name, error=error,
           func="kmem_cache_create_usercopy")


cdef _create_cache(SlabAllocator a, str name, uint32_t size, uint32_t align, uint32_t flags, uint32_t useroffset,
                   uint32_t usersize, ctor):
    cdef KmemCache s = a.new_cache()
    cdef uint32_t name_va = a.kmalloc(len(name.encode()) + 1, GFP_KERNEL)  # kstrdup_const()
    cdef int error = -ENOMEM
    if name_va:
        s.va = a.alloc(a.kmem_cache, GFP_KERNEL | __GFP_ZERO)
    if s.va:
        s.name, s.name_va = name, name_va
        s.size = s.object_size = size
        s.align = a.calculate_alignment(flags, align, size)
        s.ctor, s.useroffset, s.usersize = ctor, useroffset, usersize
        error = a.open(s, flags)
        if not error:
            s.refcount = 1
            a.add(s)
            a.memory.write(a.pa(name_va), name.encode() + b"\0")
            return s, 0
        a.free(a.kmem_cache, s.va)
    a.kfree(name_va)
    return None, error


def kmem_cache_create(k, str name not None, uint32_t size, uint32_t align=0, uint32_t flags=0, ctor=None):
    """Make a cache of objects of `size` bytes, of which nothing may be copied to programs.

    Source: mm/slab_common.c kmem_cache_create()
    """
    return kmem_cache_create_usercopy(k, name, size, align, flags, 0, 0, ctor)


def kmem_cache_destroy(k, KmemCache s):
    """Drop a reference to a cache; the last one gives its memory back, unless objects are in use, which the log tells.

    Source: mm/slab_common.c kmem_cache_destroy()
    """
    cdef SlabAllocator a = _allocator(k)
    if s is None:
        return
    check_own(a, s)
    s.refcount -= 1
    if s.refcount:
        return
    if a.shutdown(s):
        printk(k, KERN_ERR, "kmem_cache_destroy {name}: Slab cache still has objects", name=s.name)
        return
    a.forget(s)
    a.release(s)
    a.kfree(s.name_va)
    a.free(a.kmem_cache, s.va)


def kmem_cache_shrink(k, KmemCache s not None):
    """Give back the empty slabs of a cache; 0 when no slab is left.

    Source: mm/slab_common.c kmem_cache_shrink()
    """
    cdef SlabAllocator a = _allocator(k)
    check_own(a, s)
    return a.shrink(s)


def kmem_cache_size(KmemCache s not None):
    """The bytes of an object.

    Source: mm/slab_common.c kmem_cache_size()
    """
    return s.object_size


def kmem_cache_alloc(k, KmemCache s not None, uint32_t flags):
    """Allocate an object of a cache; its address, or None.

    Source: mm/slub.c, mm/slab.c, mm/slob.c kmem_cache_alloc()
    """
    cdef SlabAllocator a = _allocator(k)
    check_own(a, s)
    return a.alloc(s, flags) or None


def kmem_cache_zalloc(k, KmemCache s not None, uint32_t flags):
    """Allocate an object of zeros.

    Source: include/linux/slab.h kmem_cache_zalloc()
    """
    return kmem_cache_alloc(k, s, flags | __GFP_ZERO)


def kmem_cache_alloc_bulk(k, KmemCache s not None, uint32_t flags, uint32_t nr):
    """Allocate `nr` objects; their addresses, or an empty list when there is not memory for all.

    Source: mm/slub.c, mm/slab.c, mm/slob.c kmem_cache_alloc_bulk()
    """
    cdef SlabAllocator a = _allocator(k)
    check_own(a, s)
    return a.alloc_bulk(s, flags, nr)


def kmem_cache_free(k, KmemCache s not None, uint32_t va):
    """Free an object of a cache.

    Source: mm/slub.c, mm/slab.c, mm/slob.c kmem_cache_free()
    """
    cdef SlabAllocator a = _allocator(k)
    check_own(a, s)
    a.free(s, va)


def kmem_cache_free_bulk(k, KmemCache s, objects):
    """Free objects of a cache, or, when that is None, of any caches.

    Source: mm/slub.c, mm/slab.c, mm/slob.c kmem_cache_free_bulk()
    """
    cdef SlabAllocator a = _allocator(k)
    if s is not None:
        check_own(a, s)
    a.free_bulk(s, list(objects))


def kmalloc(k, uint32_t size, uint32_t flags=GFP_KERNEL):
    """Allocate `size` bytes; their address, or None. 16 (ZERO_SIZE_PTR) for no byte at all.

    Source: include/linux/slab.h kmalloc(), mm/slub.c, mm/slab.c, mm/slob.c __kmalloc()
    """
    return _allocator(k).kmalloc(size, flags) or None


def kzalloc(k, uint32_t size, uint32_t flags=GFP_KERNEL):
    """Allocate `size` zeros.

    Source: include/linux/slab.h kzalloc()
    """
    return _allocator(k).kmalloc(size, flags | __GFP_ZERO) or None


def kmalloc_array(k, uint32_t n, uint32_t size, uint32_t flags):
    """Allocate `n` times `size` bytes; None when that is more than 32 bits hold.

    Source: include/linux/slab.h kmalloc_array()
    """
    cdef uint64_t size_bytes = <uint64_t>n * size
    return None if size_bytes >> 32 else _allocator(k).kmalloc(<uint32_t>size_bytes, flags) or None


def kcalloc(k, uint32_t n, uint32_t size, uint32_t flags):
    """Allocate `n` times `size` zeros.

    Source: include/linux/slab.h kcalloc()
    """
    return kmalloc_array(k, n, size, flags | __GFP_ZERO)


def krealloc(k, va, uint32_t new_size, uint32_t flags):
    """Give memory another size, with its content; the new address, or None, and then the old one stays.

    Source: mm/slab_common.c krealloc()
    """
    cdef SlabAllocator a = _allocator(k)
    cdef uint32_t old = va or 0
    cdef uint32_t new, size
    if not new_size:
        a.kfree(old)
        return ZERO_SIZE_PTR
    size = a.ksize(old)
    if size >= new_size:
        return old
    new = a.kmalloc(new_size, flags)
    if new and old > ZERO_SIZE_PTR:
        memmove(a.at(new), a.at(old), size)
    if new:
        a.kfree(old)
    return new or None


def kfree(k, va):
    """Free what kmalloc() gave, or any object; None and ZERO_SIZE_PTR are nothing to free.

    Source: mm/slub.c, mm/slab.c, mm/slob.c kfree()
    """
    _allocator(k).kfree(va or 0)


def ksize(k, va):
    """The bytes that may be used at an address that kmalloc() gave.

    Source: mm/slab_common.c ksize()
    """
    return _allocator(k).ksize(va or 0)
