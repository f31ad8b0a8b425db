# bootsim: vexpress.dts --mem 1G --config 3G/1G
"""How does the kernel get at a page that has no address: kmap() and kmap_atomic() of a low and of a high page."""

PAGE = 4096
low, high = alloc_page(GFP_KERNEL), alloc_page(GFP_HIGHUSER)
assert (page_zone_name(low.pfn), page_zone_name(high.pfn)) == ("Normal", "HighMem")
base = k.mm.layout.PKMAP_BASE

# A page of lowmem has an address for ever; kmap() has nothing to do.
assert kmap(low) == page_address(low) == k.phys_to_virt(low.pa)

# A page of high memory gets one of 512 windows, 2 MiB below lowmem.
assert page_address(high) == 0
va = kmap(high)
assert base <= va < base + 512 * PAGE == k.mm.layout.PAGE_OFFSET
assert k.translate(va).pa == high.pa
state = k.mm.kmap.snapshot()
assert state["count"][(va - base) // PAGE] == 2  # mapped, and used once
assert [[high.pfn, va]] in [bucket for bucket in state["page_address_htable"] if bucket]
assert kmap(high) == va  # twice: the same window
kunmap(high)

# Given back, the page stays mapped until the search for a window comes round to the first.
kunmap(high)
assert k.mm.kmap.count(va) == 1
assert page_address(high) == va
pages = [alloc_page(GFP_HIGHUSER) for _ in range(511)]
for page in pages:
    kmap(page)
    kunmap(page)
assert page_address(high) == 0
assert not k.translate(va)

# When all windows are in use, the next caller sleeps until one is given back.
for page in (*pages, high):
    kmap(page)
told = ""
try:
    kmap(alloc_page(GFP_HIGHUSER))
except Exception as error:
    told = str(error)
assert "would sleep" in told
kunmap(high)

# kmap_atomic() does not sleep: it has slots in the fixmap for each processor, the next of a stack.
one, two = (kmap_atomic(alloc_page(GFP_HIGHUSER)) for _ in range(2))
assert one - two == PAGE
assert one == 0xFFEFE000
assert page_zone_name(k.translate(one).pa // PAGE) == "HighMem"
kunmap_atomic(two)
kunmap_atomic(one)
# A page that has a window already is not mapped a second time.
assert kmap_atomic(pages[0]) == page_address(pages[0])
