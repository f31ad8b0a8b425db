"""swapon() and swapoff() (mm/swapfile.c)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from bootsim.errors import InputError
from bootsim.linux.include.linux.errno import EBUSY, EINVAL, ENOMEM, ENOSYS, EPERM
from bootsim.linux.include.linux.slab import kfree, kmalloc
from bootsim.linux.kernel.fork.init import processes
from bootsim.linux.kernel.printk import KERN_INFO, KERN_WARNING, printk, step
from bootsim.linux.mm.page_alloc import __GFP_ZERO, GFP_KERNEL, __free_pages, alloc_pages
from bootsim.linux.mm.percpu.dynamic import __alloc_percpu, free_percpu
from bootsim.linux.mm.swapfile.unuse import try_to_unuse
from bootsim.linux.mm.vmalloc.alloc import kvfree, kvzalloc, vfree, vzalloc
from bootsim.linux.mm.vmalloc.area import find_vm_area
from bootsim.page import PAGE_SHIFT, PAGE_SIZE

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from bootsim.linux import Kernel
    from bootsim.linux.mm.swap_state import SwapSpace
    from bootsim.linux.mm.swapfile.info import SwapInfo

MAX_SWAPFILE_PAGES = 1 << 25
SWAPFILE_CLUSTER = 256
SWAP_ADDRESS_SPACE_PAGES = 1 << 14
_SC_PER_PAGE = PAGE_SIZE // 2  # struct swap_cgroup has two bytes
_EXTENT_BYTES = 32
_LOCK_OPTIONS = ("DEBUG_SPINLOCK", "DEBUG_LOCK_ALLOC", "LOCKDEP")
_MKSWAP_PAGES = 10
# In which order sys_swapon() gives back what it has when something is missing, and sys_swapoff().
_BAD_SWAP_ORDER = ("percpu_cluster", "cluster_next_cpu", "swap_extent", "swap_cgroup pages", "swap_cgroup", "swap_map",
                   "cluster_info", "frontswap_map", "swapper_space")
_SWAPOFF_ORDER = ("swap_extent", "percpu_cluster", "cluster_next_cpu", "swap_map", "cluster_info", "frontswap_map",
                  "swap_cgroup pages", "swap_cgroup", "swapper_space")


def swapspace(k: Kernel) -> SwapSpace:
    """The swap of a machine. Raises ProcessError as `processes` does.

    Source: mm/swapfile.c swapfile_init(), mm/swap_state.c: what there is before the first area
    """
    return processes(k).swapspace


def swap_areas(k: Kernel) -> list[SwapInfo]:
    """All areas that there ever were, by type: none before the first swapon(); those that are off have no pages.

    Source: mm/swapfile.c swap_info
    """
    return [] if k.processes is None else list(k.processes.swapspace.swap_info)


def swapon(k: Kernel, size_bytes: int, path: str, *, priority: Any = None, ssd: bool = False) -> int:
    """Swap to a partition of `size_bytes` that mkswap has been run on: 0 or -errno.

    With `ssd` the device has no seeks. Raises InputError for a size below 40 KiB, which mkswap refuses.
    Source: mm/swapfile.c sys_swapon(), read_swap_header()
    Differs: the header's page takes no memory; of the device nothing but its slots. Locks are plain ones; a line says
        where they are not. What the kernel takes at random, on a device without seeks, is the first free slot, as a
        line says. Discarding, bad pages, and files of a file system are left out.
    """
    if size_bytes >> PAGE_SHIFT < _MKSWAP_PAGES:
        raise InputError(f"swapon: {size_bytes} bytes: mkswap takes no area of less than {_MKSWAP_PAGES} pages")
    if not k.build.config.SWAP:
        return -ENOSYS
    if priority is not None and not (isinstance(priority, int) and 0 <= priority <= 0x7FFF):
        raise InputError(f"swapon: priority {priority!r}: expected 0 to 32767, or None for one below all others")
    space = swapspace(k)
    in_use = any(si.path == path and si.pages for si in space.swap_info)
    record = kvzalloc(k, _info_bytes(k), "alloc_swap_info")
    if not record:
        return -ENOMEM
    si = space.alloc_swap_info(k.machine.ram, path)
    if si is None or si.memory.setdefault("swap_info_struct", record) != record:  # one that is off has its record
        kvfree(k, record)
    if si is None:
        return -EPERM
    maxpages = _maxpages(k, size_bytes >> PAGE_SHIFT)
    if in_use or not _memory(k, si, maxpages, ssd):
        space.forget(si)
        _release(k, si, _BAD_SWAP_ORDER)
        return -EBUSY if in_use else -ENOMEM
    _enable(k, space, si, maxpages, priority, ssd)
    return 0


def _maxpages(k: Kernel, pages: int) -> int:
    # what of the area an entry of a page table can name
    last_page = pages - 1
    if last_page > MAX_SWAPFILE_PAGES:
        printk(k, KERN_WARNING, "Truncating oversized swap area, only using {used}k out of {whole}k",
               func="read_swap_header", used=MAX_SWAPFILE_PAGES << 2, whole=last_page << 2)
    return min(pages, MAX_SWAPFILE_PAGES)


def _lock_bytes(k: Kernel) -> int:
    return 4 if k.build.config.SMP else 0


def _info_bytes(k: Kernel) -> int:
    # struct swap_info_struct with one node: 32 words, two locks, four clusters, two words more with FRONTSWAP
    lock = _lock_bytes(k)
    return 32 * 4 + 2 * lock + 4 * (4 + lock) + 8 * k.build.config.FRONTSWAP


def _address_space_bytes(k: Kernel) -> int:
    # struct address_space: 20 words and three locks, with the word that a spinning rw_semaphore adds on SMP
    return 20 * 4 + 4 * _lock_bytes(k)


def _memory(k: Kernel, si: SwapInfo, maxpages: int, ssd: bool) -> bool:
    """Allocate what the area is kept in, in the kernel's order; whether there was enough."""
    lock, clusters = _lock_bytes(k), -(-maxpages // SWAPFILE_CLUSTER)
    spaces = -(-maxpages // SWAP_ADDRESS_SPACE_PAGES)
    wanted: list[tuple[str, Callable[[], int]]] = [
        ("swap_map", lambda: vzalloc(k, maxpages, "sys_swapon"))]
    if ssd:
        wanted += [("cluster_next_cpu", lambda: __alloc_percpu(k, 4, 4)),
                   ("cluster_info", lambda: kvzalloc(k, clusters * (4 + lock), "sys_swapon")),
                   ("percpu_cluster", lambda: __alloc_percpu(k, 8 + lock, 4))]
    if k.build.config.MEMCG_SWAP:
        wanted.append(("swap_cgroup", lambda: _swap_cgroup_swapon(k, si, maxpages)))
    wanted.append(("swap_extent", lambda: kmalloc(k, _EXTENT_BYTES) or 0))
    if k.build.config.FRONTSWAP:
        wanted.append(("frontswap_map", lambda: kvzalloc(k, -(-maxpages // 32) * 4, "sys_swapon")))
    wanted.append(("swapper_space", lambda: kvzalloc(k, spaces * _address_space_bytes(k), "init_swap_address_space")))
    for name, take in wanted:
        si.memory[name] = take()
        if not si.memory[name] and name != "frontswap_map":
            return False
    return True


def _swap_cgroup_swapon(k: Kernel, si: SwapInfo, maxpages: int) -> int:
    # Source: mm/swap_cgroup.c swap_cgroup_swapon(), swap_cgroup_prepare(): an array of pages
    length = -(-maxpages // _SC_PER_PAGE)
    array = vzalloc(k, length * 4, "swap_cgroup_swapon")
    pages: list[int] = []
    while array and len(pages) < length:
        pfn = alloc_pages(k, GFP_KERNEL | __GFP_ZERO, 0)
        if pfn is None:
            break
        pages.append(pfn)
    if array and len(pages) == length:
        si.memory["swap_cgroup pages"] = pages
        return array
    _free_all(k, pages)
    if array:
        vfree(k, array)
    printk(k, KERN_INFO, "couldn't allocate enough memory for swap_cgroup", func="swap_cgroup_swapon")
    printk(k, KERN_INFO, "swap_cgroup can be disabled by swapaccount=0 boot option", func="swap_cgroup_swapon")
    return 0


def _free_all(k: Kernel, pages: list[int]) -> None:
    for pfn in pages:
        __free_pages(k, pfn, 0)


def _enable(k: Kernel, space: SwapSpace, si: SwapInfo, maxpages: int, priority: int | None, ssd: bool) -> None:
    area = find_vm_area(k, si.memory["swap_map"])
    assert area is not None
    columns = max(64, -(-(1 << k.build.config.ARM_L1_CACHE_SHIFT) // (4 + _lock_bytes(k))))
    space.enable_swap_info(si, -1 if priority is None else priority, list(area.pages), maxpages, ssd,
                           k.num_possible_cpus, columns)
    processes(k).total_swap_pages = space.total_swap_pages
    printk(k, KERN_INFO, "Adding {pages}k swap on {path}.  Priority:{prio} extents:{extents} across:{span}k {ss}{fs}",
           func="sys_swapon", pages=si.pages << 2, path=si.path, prio=si.prio, extents=1, span=si.pages << 2,
           ss="SS" if ssd else "", fs="FS" if si.memory.get("frontswap_map") else "")
    if ssd:
        step(k, "swap on {path}: the kernel begins at a random slot, here it is slot 1", func="swapon", path=si.path)
    if any(getattr(k.build.config, name) for name in _LOCK_OPTIONS):
        step(k, "swap on {path}: the locks in its structures are taken to be plain ones; with lock debugging they take "
             "more memory", func="swapon", path=si.path, level=KERN_WARNING)
    space.enable_swap_slots_cache()


def _release(k: Kernel, si: SwapInfo, order: Sequence[str]) -> None:
    # all but the record, which stays for the next area
    for name in order:
        held = si.memory.pop(name, 0)
        if name == "swap_cgroup pages":
            _free_all(k, held or [])
        elif name in ("percpu_cluster", "cluster_next_cpu"):
            free_percpu(k, held)
        elif name == "swap_extent":
            kfree(k, held or None)
        else:
            kvfree(k, held)


def swapoff(k: Kernel, path: str) -> int:
    """Swap to an area no more, when all that is in it has been read back: 0 or -errno, and the area is in use still.

    Raises InputError when slots have been taken by hand: the kernel would look for their users for ever.
    Source: mm/swapfile.c sys_swapoff()
    Differs: no process calls it: without memory the answer is -ENOMEM, where the OOM killer ends its program. With
        vm.overcommit_memory=2 the kernel first asks whether the rest could hold what processes were promised.
    """
    if not k.build.config.SWAP:
        return -ENOSYS
    space = swapspace(k)
    si = next((each for each in space.swap_info if each.path == path and each.pages), None)
    if si is None:
        return -EINVAL
    room = processes(k)
    space.disable_swap_info(si)
    space.disable_swap_slots_cache()
    room.oom_killer.swapoff = True  # set_current_oom_origin()
    left = try_to_unuse(room.pages, space, si.type)
    room.oom_killer.swapoff = False
    if left:
        space.reinsert_swap_info(si)
    space.reenable_swap_slots_cache()
    room.total_swap_pages = space.total_swap_pages
    if left > 0:
        raise InputError(f"swapoff: {path}: {left} of its slots are taken by hand; put_swap_page() gives them back")
    if left == 0:
        space.drop_swap_info(si)
        _release(k, si, _SWAPOFF_ORDER)
    return left
