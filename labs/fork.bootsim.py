# bootsim: vexpress.dts --mem 256M --cmdline norandmaps
"""What does fork() copy, and when? Tables at once, pages at the first write, by whoever writes first."""

PAGE = 4096

parent = process()
addr = parent.mmap(0, 4 * PAGE)
for i in range(4):
    parent.write(addr + i * PAGE, b"parent")
# A page that waits in a vector of 15 for its LRU list has one more reference, and would be copied by whoever writes.
other = parent.mmap(0, 16 * PAGE)
for i in range(16):
    parent.write(other + i * PAGE, b"x")
pages = [k.page(parent.pfn(addr + i * PAGE)) for i in range(4)]

# A child has tables of its own, and the same pages in them: each is mapped twice, read-only in both.
child = parent.fork()
assert parent.task.mm.pgd_pa != child.task.mm.pgd_pa
assert [child.pfn(addr + i * PAGE) for i in range(4)] == [page.pfn for page in pages]
assert "WRITE" not in parent.vtop(addr).grep("PRESENT")
assert "WRITE" not in child.vtop(addr).grep("PRESENT")
assert rmap(pages[0].pfn).count("process") == 2

# The child writes one page: that one is copied. The parent's is its own again, but still read-only.
child.write(addr, b"child ")
assert child.pfn(addr) != parent.pfn(addr) == pages[0].pfn
assert (parent.read(addr, 6), child.read(addr, 6)) == (b"parent", b"child ")
assert [child.pfn(addr + i * PAGE) == pages[i].pfn for i in range(4)] == [False, True, True, True]

# When the parent writes, nobody else has the page: it is kept, and becomes writable.
parent.write(addr, b"again ")
assert parent.pfn(addr) == pages[0].pfn
assert "WRITE" in parent.vtop(addr).grep("PRESENT")
child.exit()
assert rmap(pages[1].pfn).count("process") == 1
