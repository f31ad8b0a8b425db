# bootsim: vexpress.dts --mem 512M --smp 2
"""What do the per-cpu lists save? Single pages come from a list of the processor's own, without the zone's lock."""

ZONE = "Normal"


def on_list(number):
    return k.zone(ZONE).pcp[number]["count"]


def touched():
    """What only the holder of zone->lock changes: the free lists."""
    return [area["lists"] for area in k.zone(ZONE).free_area]


batch, high = k.zone(ZONE).pcp[0]["batch"], k.zone(ZONE).pcp[0]["high"]
assert high == 6 * batch  # pageset_set_batch()

# Empty the list of cpu 0, then take pages one by one: the zone is locked once for each batch.
drain_all_pages()
assert on_list(0) == 0
pages, locked = [], 0
for _ in range(4 * batch):
    before = touched()
    pages.append(alloc_pages(GFP_KERNEL, 0))
    locked += touched() != before
assert locked == 4

# Freeing fills the list up to `high`; only then a batch goes back to the zone.
locked = 0
for page in pages:
    before = touched()
    __free_pages(page, 0)
    locked += touched() != before
assert locked == 0
assert on_list(0) == 4 * batch < high

# The page freed last is the one handed out next: it is still in the cache of this processor.
assert alloc_pages(GFP_KERNEL, 0) == pages[-1]
__free_pages(pages[-1], 0)

# The other processor has lists of its own. A page taken here and freed there changes sides.
count = on_list(0)
page = alloc_pages(GFP_KERNEL, 0)
with cpu(1):
    there = on_list(1)
    __free_pages(page, 0)
    assert on_list(1) == there + 1
    assert alloc_pages(GFP_KERNEL, 0) == page
    __free_pages(page, 0)
assert on_list(0) == count - 1

# Blocks of several pages do not go through the lists in 5.10.
count, before = on_list(0), touched()
block = alloc_pages(GFP_KERNEL, 1)
assert on_list(0) == count
assert touched() != before
__free_pages(block, 1)
