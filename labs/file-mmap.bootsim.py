# bootsim: vexpress.dts --mem 256M --cmdline norandmaps
"""A file read and written through addresses: what does mmap() do, what the first access, and where do writes go?"""

import tempfile
from pathlib import Path

PAGE = 4096
AROUND = 16  # pages: fault_around_bytes is 64 KiB
host = Path(tempfile.mkdtemp()) / "data"
host.write_bytes(b"".join(f"page {i:<4}".encode().ljust(PAGE, b".") for i in range(64)))


def shown(process, addr, count):
    return [i for i in range(count) if process.pfn(addr + i * PAGE) is not None]


def rights(process, va):
    """What Linux's entry says beside the frame: PRESENT, YOUNG, DIRTY, WRITE."""
    return set(process.vtop(va).grep(r"\(PRESENT").split("(")[1].rstrip(")").split("|"))


def faults():
    return int(cat("/proc/vmstat").grep("pgfault").split()[1])


p = process()
fd = p.open(host, writable=True)

# mmap() makes a VMA, and no page: vm_pgoff says where in the file it begins, in pages.
addr = p.mmap(0, 48 * PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 8 * PAGE)
vma = next(v for v in p.task.mm if addr in v)
assert (vma.vm_pgoff, vma.vm_ops.symbol) == (8, "generic_file_vm_ops")
assert shown(p, addr, 48) == []

# The first read finds the page in the file's page cache, by its index. It maps what is there around it as well: the
# 16 pages whose addresses share their upper bits.
before = faults()
assert p.read(addr + 20 * PAGE, 7) == b"page 28"
window = (addr + 20 * PAGE & -AROUND * PAGE) - addr
assert shown(p, addr, 48) == list(range(window // PAGE, window // PAGE + AROUND))
for i in shown(p, addr, 48):
    assert p.read(addr + i * PAGE, 9).split() == [b"page", str(i + 8).encode()]
assert faults() - before == 1

# Index and address of a page: index = vm_pgoff + (address - vm_start) / 4096. Nothing was copied: read() of the same
# file gives what the page has.
page = k.page(p.pfn(addr + 20 * PAGE))
assert page_info(page.pfn)["index"] == vma.vm_pgoff + 20 == 28
assert rights(p, addr + 20 * PAGE) == {"PRESENT", "YOUNG"}

# A page that was mapped around another looks like any other: as if it had been read.
assert rights(p, addr + window) == {"PRESENT", "YOUNG"}

# A shared page is read-only until it is written: page_mkwrite() is told, then the entry becomes writable and dirty.
p.write(addr + 20 * PAGE, b"PAGE")
assert rights(p, addr + 20 * PAGE) == {"PRESENT", "YOUNG", "DIRTY", "WRITE"}
assert p.pfn(addr + 20 * PAGE) == page.pfn
assert p.pread(fd, 7, 28 * PAGE) == b"PAGE 28"

# The other way round, too: write() changes the page that is mapped.
assert p.pwrite(fd, b"Page", 28 * PAGE) == 4
assert p.read(addr + 20 * PAGE, 7) == b"Page 28"

# msync() writes back, and protects the entry again, so that the next write is noticed.
assert p.msync(addr, 48 * PAGE, MS_SYNC) == 0
assert rights(p, addr + 20 * PAGE) == {"PRESENT", "YOUNG"}

# Another process that maps the file has the same frame.
q = process()
other = q.mmap(0, PAGE, PROT_READ, MAP_SHARED, q.open(host), 28 * PAGE)
assert q.read(other, 4) == b"Page"
assert q.pfn(other) == page.pfn
assert rmap(page.pfn).count("process") == 2

# MAP_PRIVATE shows the cache's page until the first write, which makes a copy of the process's own.
private = q.mmap(0, PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE, q.open(host), 28 * PAGE)
assert q.read(private, 4) == b"Page"
assert q.pfn(private) == page.pfn
q.write(private, b"mine")
assert q.pfn(private) != page.pfn
assert p.read(addr + 20 * PAGE, 4) == b"Page"

# Behind the end of the file there is no page to find.
beyond = p.mmap(0, 2 * PAGE, PROT_READ, MAP_SHARED, fd, 63 * PAGE)
assert [p.touch(beyond + at) for at in (0, PAGE)] == ["", "SIGBUS"]
