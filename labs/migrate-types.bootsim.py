# bootsim: vexpress.dts --mem 256M
"""Why are there migrate types? The same requests, with pages grouped by mobility, and with all of one type."""

import random


def requests(machine, kernel_gfp):
    """A mix: three movable pages for each one that stays; then the movable ones go. Return those that stay."""
    rng = random.Random(1)
    stay, movable = [], []
    while True:
        keeps = rng.randrange(4) == 0
        gfp = (kernel_gfp if keeps else GFP_HIGHUSER_MOVABLE) | __GFP_NOWARN | __GFP_NORETRY
        pfn = machine.alloc_pages(gfp, 0)
        if pfn is None or len(stay) + len(movable) == 24000:
            break
        (stay if keeps else movable).append(pfn)
    for pfn in movable:
        machine.__free_pages(pfn, 0)
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
