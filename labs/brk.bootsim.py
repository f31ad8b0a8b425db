# bootsim: vexpress.dts --mem 256M --cmdline norandmaps
"""How does a heap grow, and what does brk() answer when it may not?"""

PAGE = 4096

p = process()
start = p.brk(0)
assert p.brk(start + 3 * PAGE) == start + 3 * PAGE
assert "[heap]" in p.maps
assert p.pfn(start) is None
p.write(start, b"x")
assert p.pfn(start) is not None

# What brk() takes away is gone; a refusal is no error, but the old end.
assert p.brk(start) == start
assert p.touch(start) == "SIGSEGV"
fixed = p.mmap(start + 8 * PAGE, PAGE, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED)
assert p.brk(start + 9 * PAGE) == start
assert p.munmap(fixed, PAGE) == 0
