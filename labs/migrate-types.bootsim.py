# bootsim: vexpress.dts --mem 256M
"""Why are there migrate types? The same requests, with pages grouped by mobility, and with all of one type."""

import random

import bootsim


def requests(machine, kernel_gfp):
    """A mix: three movable pages for each one that stays; then the movable ones go. Return those that stay."""
    rng = random.Random(1)
    stay, movable = [], []
    while True:
        keeps = rng.randrange(4) == 0
        gfp = (kernel_gfp if keeps else GFP_HIGHUSER_MOVABLE) | __GFP_NOWARN | __GFP_NORETRY
        page = machine.alloc_page(gfp)
        if page is None or len(stay) + len(movable) == 24000:
            break
        (stay if keeps else movable).append(page.pfn)
    for pfn in movable:
        machine.__free_page(pfn)
    machine.drain_all_pages()
    return stay


def largest_blocks(machine):
    return sum(z["free_area"][-1]["nr_free"] for z in machine.k.zones)


grouped, mixed = branch(), branch()
kept = requests(grouped, GFP_KERNEL)
# Not grouped: what stays is asked for as if it were movable, so that all pages share their blocks.
lost = requests(mixed, GFP_HIGHUSER_MOVABLE)
assert len(kept) == len(lost)


def blocks_of(pages):
    return {pfn >> k.mm.pageblock_order for pfn in pages}


# Both hold the same number of pages for good. Grouped, they fill few pageblocks; mixed, they are in nearly all.
least = -(-len(kept) >> k.mm.pageblock_order)
assert len(blocks_of(kept)) <= 2 * least + 2
assert len(blocks_of(lost)) > 3 * len(blocks_of(kept))
# And so the one machine lost hardly any of its largest free blocks for good, and the other most of what it used.
before = largest_blocks(lab)
assert before - largest_blocks(grouped) <= least + 2
assert before - largest_blocks(mixed) > 2 * least

# A machine with less than one pageblock for each type and zone does not group: there is no room to keep types apart.
small = bootsim.boot("vexpress.dts", cmdline="mem=20M")
assert small.mm.pgdat.page_group_by_mobility_disabled
assert not k.mm.pgdat.page_group_by_mobility_disabled
small = type(lab)(small, lab.show)
for machine, together in ((lab, False), (small, True)):
    machine.drain_all_pages()
    kernels, users = machine.alloc_page(GFP_KERNEL).pfn, machine.alloc_page(GFP_KERNEL | __GFP_MOVABLE).pfn
    assert (kernels >> k.mm.pageblock_order == users >> k.mm.pageblock_order) == together
