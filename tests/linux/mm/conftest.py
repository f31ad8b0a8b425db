"""Machines with swap areas, for the tests of swap."""

from bootsim.lab.session import Session
from bootsim.linux.include.linux.mman import MADV_DONTNEED
from bootsim.linux.kernel.fork.init import processes
from bootsim.linux.mm.madvise import madvise
from bootsim.linux.mm.page_alloc import GFP_HIGHUSER, alloc_pages, check_buddy_invariants
from bootsim.linux.mm.page_alloc import __free_pages as free_pages
from bootsim.linux.mm.rmap.walk import rmap_walk
from bootsim.linux.mm.swapfile import api
from bootsim.linux.mm.swapfile.on import swapspace
from bootsim.linux.mm.vmstat import all_vm_events
from bootsim.views import alive

PAGE = 4096
PRIVATE_ANONYMOUS, SHARED_ANONYMOUS = 0x22, 0x21
PRESENT, DIRTY, RDONLY = 1, 1 << 6, 1 << 7
SWAPCACHE, DIRTY_PAGE = 1 << 10, 1 << 3
CACHE = 0x40


def start(booted, pages=16, ssd=False, area="1M"):
    """A machine with a swap area and a process that wrote so many pages: session, process, where they are."""
    lab = Session(booted.copy(), alive.text)
    lab.names()
    assert lab.swapon(area, ssd=ssd) == 0
    p = lab.process()
    addr = p.mmap(0, pages * PAGE, 3, PRIVATE_ANONYMOUS)
    for i in range(pages):
        p.write(addr + i * PAGE, content(i))
    return lab, p, addr


def content(i):
    return b"page %3d" % i


def swap_out(lab, p, *addrs):
    """Have pages go to the swap area, whoever maps them, and leave memory."""
    for addr in addrs:
        move_out(lab.k, p.pfn(addr))


def move_out(k, pfn):
    space, room = swapspace(k), k.processes
    entry = api.get_swap_page(space, pfn)
    data = k.machine.ram.read(pfn * PAGE, PAGE)
    for pid, va, _ in list(rmap_walk(room, pfn)):
        task = room.tasks[pid]
        api.swap_duplicate(space, entry)
        assert madvise(task, va, PAGE, MADV_DONTNEED) == 0
        k.machine.ram.write32(entry_at(k, task.mm, va), api.swp_entry_to_pte(entry))
        task.mm.rss[2] += 1
        if task.mm not in space.mmlist:
            space.mmlist.insert(0, task.mm)
    page = alloc_pages(k, GFP_HIGHUSER, 0)
    k.machine.ram.write(page * PAGE, data)
    api.add_to_swap_cache(space, page, entry)
    api.write_page(space, entry, page)
    api.delete_from_swap_cache(space, page)
    free_pages(k, page, 0)


def entry_at(k, mm, va):
    """Where the entry of an address lies (pa)."""
    return (k.machine.ram.read32(mm.pgd_pa + (va >> 21) * 8) & -PAGE) + (va >> 12 & 511) * 4


def word(lab, p, va):
    return processes(lab.k).pages.entry(p.task.mm, va)


def slot_of(lab, p, va):
    return api.pte_to_swp_entry(word(lab, p, va))


def used(lab):
    """What swap_map has for each slot in use."""
    areas = swapspace(lab.k).swap_info
    return {(si.type, i): byte for si in areas for i, byte in enumerate(si.swap_map()) if byte not in (0, 0x3F)}


def rss(p):
    return {"anon": p.task.mm.rss[1], "swap": p.task.mm.rss[2]}


def events(lab, before=None):
    now = all_vm_events(lab.k)
    return now if before is None else {name: now[name] - before[name] for name in now if now[name] != before[name]}


def anonymous(lab):
    """How many pages are on the lists of anonymous and of locked pages."""
    lab.k.processes.pages.drain()
    sizes = lab.k.mm.pgdat.lru.sizes()
    return sizes["inactive_anon"] + sizes["active_anon"] + sizes["unevictable"]


def ended(lab):
    """Every process ends: pages are left that only the swap cache has, and none once the areas are off."""
    for p in lab.ps():
        p.exit()
    space = swapspace(lab.k)
    assert (anonymous(lab), space.mmlist) == (space.nrpages, [])
    for si in list(space.swap_info):
        if si.pages:
            assert lab.swapoff(si.path) == 0
    assert (anonymous(lab), space.nrpages, space.nr_swap_pages) == (0, 0, 0)
    check_buddy_invariants(lab.k.mm.pgdat)
