# bootsim: vexpress.dts --mem 256M --cmdline norandmaps
"""What is behind anonymous memory before anybody has written to it?"""

PAGE = 4096

p = process()
addr = p.mmap(0, 4 * PAGE)
assert [p.pfn(addr + i * PAGE) for i in range(4)] == [None] * 4

# A read maps the zero page, the same one everywhere; it counts as nobody's memory.
zero = k.mm.empty_zero_page_pa // PAGE
before = p.status.grep("RssAnon")
assert p.read(addr, 4) == p.read(addr + PAGE, 4) == bytes(4)
assert p.pfn(addr) == p.pfn(addr + PAGE) == zero
assert p.status.grep("RssAnon") == before

# A write brings a cleared page of its own.
p.write(addr, b"x")
assert p.pfn(addr) != zero
assert p.read(addr, 4) == b"x\0\0\0"
assert p.pfn(addr + PAGE) == zero
assert p.status.grep("RssAnon") != before
