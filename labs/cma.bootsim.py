# bootsim: vexpress.dts --mem 256M --cmdline "cma=32M"
"""What is a contiguous area good for, and what happens to it under pressure?"""

area = cma_area()
first, end = area.base_pfn, area.base_pfn + area.count
assert area.count << 12 == 32 << 20  # cma=32M

# Its pageblocks have a type of their own, and lie in the page allocator's lists as free memory.
block = 1 << k.mm.pageblock_order
assert {get_pageblock_migratetype(pfn) for pfn in range(first, end, block)} == {MIGRATE_CMA}

# The kernel's own pages never come from it, however short memory gets; movable ones may.
branch_ = branch()
unmovable = []
while (page := branch_.alloc_pages(GFP_KERNEL | __GFP_NOWARN | __GFP_NORETRY, 4)) is not None:
    unmovable.append(page.pfn)
assert not any(first <= pfn < end for pfn in unmovable)
movable = []
while (page := branch_.alloc_page(GFP_HIGHUSER_MOVABLE | __GFP_NOWARN | __GFP_NORETRY)) is not None:
    movable.append(page.pfn)
inside = [pfn for pfn in movable if first <= pfn < end]
assert len(inside) > area.count // 2

# On this machine nobody borrowed anything yet; only the boot has taken the pool of atomic DMA, at the beginning.
pool = [[0, (256 << 10) // 4096 >> area.order_per_bit]]
assert area.set_bits == pool
# A large block is there at once, and marks its bits.
pages = 2048
pfn = cma_alloc(area, pages, 0)
assert first <= pfn <= end - pages
assert pool[0][1] <= (pfn - first) >> area.order_per_bit
assert sum(bits for _, bits in area.set_bits) == pool[0][1] + (pages >> area.order_per_bit)
# A second one lies beside it, never on it.
other = cma_alloc(area, pages, 0)
assert other >= pfn + pages or other + pages <= pfn
# What does not fit is refused, and changes nothing.
assert cma_alloc(area, area.count, 0, no_warn=True) is None
assert cma_release(area, pfn, pages)
assert cma_release(area, other, pages)
assert area.set_bits == pool
# Not its own: refused.
assert not cma_release(area, first - pages, pages)
