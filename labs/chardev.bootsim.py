# bootsim: vexpress.dts --mem 256M --cmdline norandmaps
"""A character device with read, write and mmap: what does a driver's mmap() do at once, and what only at a fault?"""

PAGE = 4096
BYTES = 4 * PAGE
ZEROED = GFP_KERNEL | __GFP_ZERO


class Ring(CharDevice):
    """Four pages of a driver's, which read() and write() copy from and to."""

    def __init__(self):
        self.pages = [alloc_page(ZEROED) for _ in range(BYTES // PAGE)]

    def read(self, _file, count, pos):
        return b"".join(k.read(page.va, PAGE) for page in self.pages)[pos : pos + count]

    def write(self, _file, data, pos):
        if pos % PAGE + len(data) > PAGE:
            return -EINVAL
        k.machine.ram.write(self.pages[pos // PAGE].pa + pos % PAGE, data)
        return len(data)


class Remapped(Ring):
    """The whole of a mapping at once, by frame numbers."""

    def mmap(self, _file, vma):
        for i, page in enumerate(self.pages[vma.vm_pgoff :]):
            addr = vma.vm_start + i * PAGE
            if addr < vma.vm_end and remap_pfn_range(vma, addr, page.pfn, PAGE, vma.vm_page_prot):
                return -EAGAIN
        return 0


class Inserted(Ring):
    """The whole of a mapping at once, by struct pages."""

    def mmap(self, _file, vma):
        for i in range((vma.vm_end - vma.vm_start) // PAGE):
            error = vm_insert_page(vma, vma.vm_start + i * PAGE, self.pages[vma.vm_pgoff + i])
            if error:
                return error
        return 0


class Faulting(Ring):
    """Nothing at mmap(); a page when it is missed, which finish_fault() maps."""

    faults = 0

    def mmap(self, _file, vma):
        vma.vm_ops = self.vm_ops
        return 0

    def fault(self, vmf):
        self.faults += 1
        if vmf.pgoff >= len(self.pages):
            return VM_FAULT_SIGBUS
        vmf.page = self.pages[vmf.pgoff]
        get_page(vmf.page)
        return 0


class InsertingAtFault(Faulting):
    """The handler makes the entry itself, and says so."""

    def fault(self, vmf):
        self.faults += 1
        return VM_FAULT_NOPAGE if vm_insert_page(vmf.vma, vmf.address, self.pages[vmf.pgoff]) == 0 else VM_FAULT_SIGBUS


def entries(addr):
    return [p.pfn(addr + at) for at in range(0, BYTES, PAGE)]


p = process()
drivers = {cls.__name__: cls() for cls in (Remapped, Inserted, Faulting, InsertingAtFault)}
shown, rss = {}, {}
for major, (name, driver) in enumerate(drivers.items(), 240):
    assert register_chrdev(major, name, driver) == 0
    fd = p.open(f"/dev/{name}", writable=True)
    before = int(p.status.grep("VmRSS").split()[1])
    addr = p.mmap(0, BYTES, PROT_READ | PROT_WRITE, MAP_SHARED, fd)
    shown[name] = sum(pfn is not None for pfn in entries(addr))

    # What write() puts there is read through an address, and the other way round; nothing is copied.
    assert p.pwrite(fd, b"by write()", 2 * PAGE) == 10
    assert p.read(addr + 2 * PAGE, 10) == b"by write()"
    p.write(addr + 3 * PAGE, b"by address")
    assert p.pread(fd, 10, 3 * PAGE) == b"by address"
    assert repr(p.pwrite(fd, bytes(PAGE + 1))) == "-EINVAL"
    assert entries(addr)[3] == driver.pages[3].pfn

    # A page that vm_insert_page() or finish_fault() mapped counts: in mapcount and in the program's memory.
    rss[name] = int(p.status.grep("VmRSS").split()[1]) - before
    flags = p.vma(addr).grep("VmFlags").split()
    assert ("pf" in flags, "mm" in flags) == (name == "Remapped", "Insert" in name), flags

assert shown == {"Remapped": 4, "Inserted": 4, "Faulting": 0, "InsertingAtFault": 0}
assert rss == {"Remapped": 0, "Inserted": 16, "Faulting": 8, "InsertingAtFault": 8}
assert drivers["Faulting"].faults == drivers["InsertingAtFault"].faults == 2
print("mapped by mmap() itself, of 4 pages:", shown)

# A mapping may be longer than the device. Who maps at once must refuse it, a handler answers when it comes to that.
fd = p.open("/dev/Faulting", writable=True)
longer = p.mmap(0, 2 * BYTES, PROT_READ, MAP_SHARED, fd)
assert [p.touch(longer + at) for at in (0, BYTES)] == ["", "SIGBUS"]

# A private mapping reads the device's page and writes a copy.
private = p.mmap(0, BYTES, PROT_READ | PROT_WRITE, MAP_PRIVATE, fd)
assert p.read(private + 2 * PAGE, 2) == b"by"
p.write(private + 2 * PAGE, b"my")
assert p.pfn(private + 2 * PAGE) != drivers["Faulting"].pages[2].pfn
assert p.pread(fd, 2, 2 * PAGE) == b"by"

# References: the driver's own, and one for each entry that counts. munmap() gives those back, never the driver's.
assert [drivers[name].pages[2].refcount for name in drivers] == [1, 2, 2, 2]
p.exit()
assert {page.refcount for driver in drivers.values() for page in driver.pages} == {1}
