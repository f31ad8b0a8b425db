"""Pages and page tables of a process that somebody else gave back or wrote over: told, and the machine stays usable."""

import pytest

import bootsim
from bootsim.lab.session import Session
from bootsim.linux.mm.page_alloc import check_buddy_invariants
from bootsim.linux.mm.swapfile.api import swp_entry, swp_entry_to_pte
from bootsim.views import alive

PAGE = 4096


@pytest.fixture
def lab():
    return Session(bootsim.boot("vexpress.dts", mem="128M", smp=2, cmdline="cma=16M"), alive.text)


def said(lab, text):
    return sum(text in record.text for record in lab.k.log.records)


def anonymous(lab, pages=1):
    p = lab.process()
    addr = p.mmap(0, pages * PAGE, 3, 0x22, -1, 0)
    for i in range(pages):
        p.write(addr + i * PAGE, b"mine")
    return p, addr


def whole(lab):
    """The lists hold together once every vector is empty and every per-cpu list is drained."""
    lab.compact_memory()
    lab.drain_all_pages()
    lab.alloc_pages(lab.GFP_KERNEL, 5)
    return check_buddy_invariants(lab.k.mm.pgdat) == []


def test_a_page_that_waits_for_its_list_is_not_freed_by_others(lab):
    p, addr = anonymous(lab)
    page = lab.k.page(p.pfn(addr))
    assert page.refcount == 2  # the entry's, and the vector's
    lab.put_page(page)
    assert said(lab, "freed behind its back") == 0
    lab.put_page(page)
    assert said(lab, f"pfn {page.pfn:#x} is on a list of pages in use (LRU): freed behind its back") == 1
    assert page.refcount == 1
    assert p.read(addr, 4) == b"mine"
    assert whole(lab)


@pytest.mark.parametrize("cpu", [0, 1])
def test_a_page_whose_process_ends_before_it_comes_onto_its_list(lab, cpu):
    # On the processor whose vector has the page, the end empties that first: then it comes onto a list, and leaves it.
    p, addr = anonymous(lab)
    pfn = p.pfn(addr)
    lab.free_contig_range(pfn, 1)
    with lab.cpu(cpu):
        p.exit()
    assert whole(lab)
    assert lab.k.processes.pages.lru.pages("inactive_anon").count(pfn) == 0
    assert said(lab, "page dumped because: nonzero _refcount") == 1
    assert said(lab, f"pfn {pfn:#x} was given back while it waited for its LRU list") == cpu


def test_a_page_with_fewer_references_than_entries_does_not_move(lab):
    p, addr = anonymous(lab)
    children = [p.fork() for _ in range(3)]
    assert lab.alloc_contig_pages(1, lab.GFP_KERNEL)  # and every page is on its list
    page = lab.k.page(p.pfn(addr))
    assert page.refcount == 4
    lab.put_page(page)
    block = page.pfn & ~1023
    assert lab.alloc_contig_range(block, block + 1024, 1) == -16
    assert p.pfn(addr) == page.pfn
    for each in (p, *children):
        each.exit()
    lab.drain_all_pages()
    assert said(lab, "Bad page state")


def entry_pa(lab, p, addr):
    """Where Linux's half of a page table entry lies; the hardware's is 2048 bytes on."""
    l1 = lab.k.machine.ram.read(p.task.mm.pgd_pa + (addr >> 20) * 4, 4)
    return (int.from_bytes(l1, "little") & ~0x3FF) + (addr >> 12 & 0xFF) * 4 - 2048


def test_an_entry_that_names_a_swap_area_which_is_not_there(lab):
    p, addr = anonymous(lab, 2)
    at = entry_pa(lab, p, addr)
    ram = lab.k.machine.ram
    assert int.from_bytes(ram.read(at, 4), "little") >> 12 == p.pfn(addr)
    ram.write(at, swp_entry_to_pte(swp_entry(3, 77)).to_bytes(4, "little"))
    ram.write(at + 2048, bytes(4))
    child = p.fork()
    assert said(lab, "get_swap_device: Bad swap file entry") == 1
    assert child.read(addr + PAGE, 4) == b"mine"
    child.exit()
    p.exit()
    assert said(lab, "Bad swap file entry") > 1
    assert lab.alloc_pages(lab.GFP_KERNEL, 3) is not None
