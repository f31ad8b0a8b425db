# bootsim: vexpress.dts --mem 512M --cmdline "cma=0"
"""How does the buddy system split a block, and how do the halves find together again?"""

ORDER = 3
ZONE = "Normal"


def blocks():
    return [area["nr_free"] for area in k.zone(ZONE).free_area]


# No block of this order, nor of any below the largest, may be free: then one of the largest must be split.
largest = len(blocks()) - 1
GFP_OF_TYPE = {MIGRATE_UNMOVABLE: GFP_KERNEL, MIGRATE_MOVABLE: GFP_KERNEL | __GFP_MOVABLE,
               MIGRATE_RECLAIMABLE: GFP_KERNEL | __GFP_RECLAIMABLE}
for order in range(ORDER, largest):
    for migratetype, gfp in GFP_OF_TYPE.items():
        while k.zone(ZONE).free_area[order]["lists"][migratetype]:
            alloc_pages(gfp, order)
assert not any(blocks()[ORDER:largest])

before = blocks()
block = alloc_pages(GFP_KERNEL, ORDER).pfn
after = blocks()
# One block of the largest order is gone; each halving left its upper half free, one for each order on the way down.
assert after[largest] == before[largest] - 1
assert [after[order] - before[order] for order in range(ORDER, largest)] == [1] * (largest - ORDER)
# A block is aligned to its size, and its buddy is the frame with one bit turned over.
assert block % (1 << ORDER) == 0
halves = {pfn for frames in k.zone(ZONE).free_area[ORDER]["lists"] for pfn in frames}
assert block ^ (1 << ORDER) in halves

# Freed, it meets its buddy, the two meet theirs, up to the largest order: everything is as before.
__free_pages(block, ORDER)
assert blocks() == before

# A buddy in use stops the merging: of two neighbours the first stays alone until the second comes back.
first = alloc_pages(GFP_KERNEL, ORDER).pfn
second = alloc_pages(GFP_KERNEL, ORDER).pfn
assert first ^ second == 1 << ORDER
__free_pages(first, ORDER)
assert k.page(first).order == ORDER
__free_pages(second, ORDER)
assert blocks() == before
