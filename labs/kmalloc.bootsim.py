# bootsim: vexpress.dts --mem 512M
"""What does kmalloc() return: how much, how aligned, from where, and what is the most?"""

LINE = 1 << k.build.config.ARM_L1_CACHE_SHIFT  # objects may be used for DMA: ARCH_KMALLOC_MINALIGN is a cache line

for size in (1, 8, 64, 65, 96, 100, 128, 129, 192, 193, 250, 500, 1000, 2000, 4000, 8000):
    va = kmalloc(size, GFP_KERNEL)
    room = ksize(va)
    # What is asked for is there, and less than as much again is wasted, but for what a cache line needs.
    assert size <= room
    assert room < 2 * size or room <= 2 * LINE
    # A power of two is aligned to itself, since 5.4; anything else to a cache line.
    assert va % LINE == 0
    if size & (size - 1) == 0:
        assert va % size == 0
    # The address is virtual, of the linear mapping: so the memory is physically contiguous, too.
    assert k.translate(va).pa == k.virt_to_phys(va)
    assert "slab of" in kmem(va)
    kfree(va)

# Above two pages the page allocator is asked, and the size is a power of two of pages.
va = kmalloc(8193, GFP_KERNEL)
assert "slab of" not in kmem(va)
assert ksize(va) == 16384
assert va % 4096 == 0
kfree(va)

# The most is the largest block of the page allocator.
most = 4096 << (k.mm.max_order - 1)
va = kmalloc(most, GFP_KERNEL)
assert ksize(va) == most
kfree(va)
assert kmalloc(most + 1, GFP_KERNEL | __GFP_NOWARN) is None

# Two objects of one size stand side by side in one page; what is freed last is given first.
one, two = kmalloc(128, GFP_KERNEL), kmalloc(128, GFP_KERNEL)
kfree(one)
assert kmalloc(128, GFP_KERNEL) == one
kfree(one)
kfree(two)
assert holders() == []
