"""Areas of kernel virtual memory: a range of addresses, and what lies there (mm/vmalloc.c).

The machine's state, `k.mm.vmap`, is made at its first use; what the boot has taken is there.
"""

from __future__ import annotations

from typing import TYPE_CHECKING
from weakref import proxy

from bootsim.linux.arch.arm.asm.memory import VMALLOC_END
from bootsim.linux.arch.arm.asm.tlbflush import flush_tlb_kernel_range
from bootsim.linux.include.linux.slab import kfree, kmem_cache_alloc, kmem_cache_create, kmem_cache_free, kzalloc
from bootsim.linux.kernel.panic import warn
from bootsim.linux.kernel.printk import KERN_WARNING, printk
from bootsim.linux.mm.page_alloc import __GFP_NOWARN, GFP_KERNEL, GFP_RECLAIM_MASK
from bootsim.linux.mm.slab_common import SLAB_PANIC
from bootsim.linux.mm.vmalloc.areas import VmapAreas, check_congruent
from bootsim.linux.mm.vmalloc.early import VM_ALLOC, VM_IOREMAP, VM_NO_GUARD, VmStruct
from bootsim.linux.mm.vmalloc.tables import unmap_kernel_range_noflush
from bootsim.page import PAGE_SHIFT, PAGE_SIZE, page_align

if TYPE_CHECKING:
    from collections.abc import Sequence

    from bootsim.linux import Kernel
    from bootsim.linux.mm.slab_common import KmemCache
    from bootsim.linux.mm.vmalloc.block import VmapBlock

SIZEOF_VMAP_AREA = 32
SIZEOF_VM_STRUCT = 32


class AreaCache:
    """vmap_area_cachep, by its address: where a struct vmap_area's own memory comes from."""

    def __init__(self, k: Kernel, cachep_va: int) -> None:
        self.k = k
        self.cachep_va = cachep_va

    @property
    def cachep(self) -> KmemCache:
        """The slab cache."""
        slab = self.k.mm.slab
        if slab is None:
            raise AssertionError("a machine with a slab cache has an allocator")
        return slab.cache_at[self.cachep_va]

    def alloc(self, gfp: int) -> int:
        """Take one: its address (va), or 0."""
        return kmem_cache_alloc(self.k, self.cachep, gfp) or 0

    def free(self, va: int) -> None:
        """Give one back."""
        kmem_cache_free(self.k, self.cachep, va)


class Vmap:
    """The variables of mm/vmalloc.c: `areas` the ranges of addresses, `vms` what lies at each taken one, by its start.

    `blocks` are those of vm_map_ram(), by start, and `queues` each processor's that have room.
    """

    def __init__(self, areas: VmapAreas, vms: dict[int, VmStruct]) -> None:
        self.areas = areas
        self.vms = vms
        self.nr_vmalloc_pages = 0
        self.blocks: dict[int, VmapBlock] = {}
        self.queues: dict[int, list[VmapBlock]] = {}


def lazy_max_pages(k: Kernel) -> int:
    """How many pages of addresses may wait to be free.

    Source: mm/vmalloc.c lazy_max_pages()
    """
    return k.nr_online_cpus.bit_length() * (32 << 20 >> PAGE_SHIFT)


def ioremap_align(k: Kernel, size: int) -> int:
    """What an area of `size` bytes for registers is aligned to: its size, up to 512 KiB, or 16 MiB without SMP.

    Source: mm/vmalloc.c __get_vm_area_node(), arch/arm/include/asm/memory.h IOREMAP_MAX_ORDER
    """
    most = 24 if not k.build.config.SMP and not k.build.config.ARM_LPAE else PAGE_SHIFT + 7
    return 1 << min(max((size - 1).bit_length(), PAGE_SHIFT), most)


def new_areas(k: Kernel, cache: AreaCache | None = None) -> VmapAreas:
    """The address ranges as they are when there is an allocator of them: taken where the boot has taken them.

    Source: mm/vmalloc.c vmalloc_init()
    """
    return VmapAreas([(vm.addr, vm.addr + vm.size) for vm in k.mm.vmlist], cache)


def vmap_state(k: Kernel) -> Vmap:
    """The machine's areas; made now when this is their first use.

    Source: mm/vmalloc.c vmalloc_init()
    Differs: at the first use of the machine, not in mm_init(), as its slab caches are. The fields of struct vmap_area
        and struct vm_struct are kept beside RAM; their memory is taken.
    """
    if k.mm.vmap is None:
        cachep = kmem_cache_create(k, "vmap_area", SIZEOF_VMAP_AREA, 4, SLAB_PANIC)
        if cachep is None:
            raise AssertionError("with SLAB_PANIC a cache is made, or the kernel panics")
        areas = new_areas(k, AreaCache(proxy(k), cachep.va))
        k.mm.vmap = Vmap(areas, {vm.addr: vm for vm in k.mm.vmlist})
    return k.mm.vmap


def alloc_vmap_area(k: Kernel, size: int, align: int, vstart: int, vend: int, gfp: int) -> int:
    """Take `size` bytes of addresses at a multiple of `align` in [vstart, vend); their start (va), or 0.

    Source: mm/vmalloc.c alloc_vmap_area()
    Differs: nobody is on vmap_notify_list; printk_ratelimit() lets every message pass.
    """
    areas, cpu = vmap_state(k).areas, k.mm.pgdat.cpu
    gfp &= GFP_RECLAIM_MASK
    va = areas.object_(gfp)
    if not va:
        return 0
    for purged in (False, True):
        areas.preload_cpu(gfp, cpu)
        addr = areas.take(size, align, vstart, vend, cpu)
        if addr != vend:
            areas.insert_busy(addr, addr + size, va)
            return addr
        if not purged:
            purge_vmap_area_lazy(k)
    if not gfp & __GFP_NOWARN:
        printk(k, KERN_WARNING, "vmap allocation for size {size} failed: use vmalloc=<size> to increase size",
               func="alloc_vmap_area", size=size)
    areas.cache.free(va)
    return 0


def purge_vmap_area_lazy(k: Kernel) -> bool:
    """Make free all addresses that wait to be, those of half-used blocks of vm_map_ram() too; whether any did.

    Source: mm/vmalloc.c purge_vmap_area_lazy()
    """
    from bootsim.linux.mm.vmalloc.block import purge_fragmented_blocks_allcpus

    purge_fragmented_blocks_allcpus(k)
    return purge_vmap_areas(k, (1 << 32, 0))


def purge_vmap_areas(k: Kernel, also: tuple[int, int]) -> bool:
    """Make free all addresses that wait to be, and have the TLB forget them and `also`, [start, end); whether any did.

    Source: mm/vmalloc.c __purge_vmap_area_lazy()
    """
    areas = vmap_state(k).areas
    if not areas.purge_now():
        return False
    flush_tlb_kernel_range(k, min(areas.purged[0], also[0]), max(areas.purged[1], also[1]))
    return True


def free_vmap_area_noflush(k: Kernel, addr: int) -> None:
    """Let the range at `addr` (va) wait to be free, and all that wait be free when they are many.

    Source: mm/vmalloc.c free_vmap_area_noflush()
    """
    areas = vmap_state(k).areas
    if areas.give_back(addr, lazy_max_pages(k)):
        flush_tlb_kernel_range(k, *areas.purged)


def free_unmap_vmap_area(k: Kernel, start: int, end: int) -> None:
    """Unmap the range [start, end) (va), and give it back.

    Source: mm/vmalloc.c free_unmap_vmap_area()
    """
    unmap_kernel_range_noflush(k, start, end - start)
    if k.mm.debug_pagealloc_enabled:
        flush_tlb_kernel_range(k, start, end)
    free_vmap_area_noflush(k, start)


def __get_vm_area_node(k: Kernel, size: int, align: int, flags: int, start: int, end: int, gfp: int,
                       caller: str = "") -> VmStruct | None:
    """Take an area of `size` bytes in [start, end) with a guard page behind it; None when there is none.

    Source: mm/vmalloc.c __get_vm_area_node()
    """
    size = page_align(size) & 0xFFFFFFFF
    if not size:
        return None
    if flags & VM_IOREMAP:
        align = ioremap_align(k, size)
    va = kzalloc(k, SIZEOF_VM_STRUCT, gfp & GFP_RECLAIM_MASK)
    if not va:
        return None
    if not flags & VM_NO_GUARD:
        size += PAGE_SIZE
    addr = alloc_vmap_area(k, size, align, start, end, gfp) if size < 1 << 32 else 0
    if not addr:
        kfree(k, va)
        return None
    vm = VmStruct(addr, size, flags, caller=caller, va=va)
    vmap_state(k).vms[addr] = vm
    return vm


def get_vm_area(k: Kernel, size: int, flags: int, caller: str = "") -> VmStruct | None:
    """Take an area of `size` bytes between VMALLOC_START and VMALLOC_END; None when there is none.

    Source: mm/vmalloc.c get_vm_area_caller()
    """
    return __get_vm_area_node(k, size, 1, flags, k.mm.layout.VMALLOC_START, VMALLOC_END, GFP_KERNEL, caller)


def find_vm_area(k: Kernel, addr: int) -> VmStruct | None:
    """The area that holds an address, or None.

    Source: mm/vmalloc.c find_vm_area()
    """
    vmap = vmap_state(k)
    found = vmap.areas.find(addr)
    return None if found is None else vmap.vms.get(found[0])


def remove_vm_area(k: Kernel, addr: int) -> VmStruct | None:
    """Unmap the area that holds `addr` and give its addresses back; the area, whose struct is the caller's to free.

    Source: mm/vmalloc.c remove_vm_area()
    """
    vmap = vmap_state(k)
    found = vmap.areas.find(addr)
    vm = None if found is None else vmap.vms.pop(found[0], None)
    if found is not None and vm is not None:
        free_unmap_vmap_area(k, *found)
    return vm


def free_vm_area(k: Kernel, vm: VmStruct) -> None:
    """Give back an area and its struct.

    Source: mm/vmalloc.c free_vm_area()
    """
    remove_vm_area(k, vm.addr)
    kfree(k, vm.va)


def pcpu_get_vm_areas(k: Kernel, offsets: Sequence[int], sizes: Sequence[int], align: int) -> list[VmStruct] | None:
    """Take areas that lie to each other as `offsets` do, from the top of the vmalloc area; None when there is no room.

    Raises ValueError for areas that cannot be.
    Source: mm/vmalloc.c pcpu_get_vm_areas()
    """
    check_congruent(offsets, sizes, align)
    room = (VMALLOC_END & -align) - (k.mm.layout.VMALLOC_START + align - 1 & -align)
    if room < max(offset + size for offset, size in zip(offsets, sizes, strict=True)):
        warn(k, "mm/vmalloc.c:3225", func="pcpu_get_vm_areas")
        return None
    vmap, cpu, count = vmap_state(k), k.mm.pgdat.cpu, len(offsets)
    arrays = [kzalloc(k, 4 * count, GFP_KERNEL) for _ in range(2)]
    structs = [(vmap.areas.object_(GFP_KERNEL), kzalloc(k, SIZEOF_VM_STRUCT, GFP_KERNEL)) for _ in range(count)]
    base = None
    if all(arrays) and all(va and vm for va, vm in structs):
        for purged in (False, True):
            base = vmap.areas.take_congruent(offsets, sizes, align, k.mm.layout.VMALLOC_START, VMALLOC_END, cpu)
            if base is not None or purged:
                break
            purge_vmap_area_lazy(k)
    kfree(k, arrays[1])
    if base is None:
        for va, struct in structs:
            if va:
                vmap.areas.cache.free(va)
            kfree(k, struct)
        kfree(k, arrays[0])
        return None
    found = []
    for offset, size, (va, struct) in zip(offsets, sizes, structs, strict=True):
        vmap.areas.insert_busy(base + offset, base + offset + size, va)
        vm = VmStruct(base + offset, size, VM_ALLOC, caller="pcpu_get_vm_areas", va=struct or 0)
        vmap.vms[vm.addr] = vm
        found.append(vm)
    found[0].array_va = arrays[0] or 0
    return found


def pcpu_free_vm_areas(k: Kernel, vms: Sequence[VmStruct]) -> None:
    """Give back what pcpu_get_vm_areas() gave.

    Source: mm/vmalloc.c pcpu_free_vm_areas()
    """
    array = vms[0].array_va
    for vm in vms:
        free_vm_area(k, vm)
    kfree(k, array)
