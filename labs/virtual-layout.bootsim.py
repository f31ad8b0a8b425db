# bootsim: vexpress.dts --mem 1G --config 3G/1G
"""What lies where in 4 GiB of addresses, why is it divided, and what do 3:1, 2:2 and 1:3 decide?"""

import bootsim

MIB, PAGE = 1 << 20, 4096
layout = k.mm.layout
areas = {
    "programs": (0, layout.TASK_SIZE), "modules": (layout.MODULES_VADDR, layout.MODULES_END),
    "pkmap": (layout.PKMAP_BASE, layout.PAGE_OFFSET), "linear map": (layout.PAGE_OFFSET, k.mm.high_memory),
    "vmalloc": (layout.VMALLOC_START, 0xFF800000), "device tree": (0xFF800000, 0xFFA00000),
    "fixmap": (0xFFC80000, 0xFFF00000), "vectors": (0xFFFF0000, 0xFFFF1000),
}  # fmt: skip
for name, (start, end) in areas.items():
    print(f"{name:12} {start:08x}-{end:08x}  {(end - start) / MIB:8.2f} MiB")

# No address has two meanings, and /sys/kernel/debug/kernel_page_tables has marks for the same areas.
ends = [at for area in areas.values() for at in area]
assert ends == sorted(ends)
assert all(mark in cat("kernel_page_tables") for mark in ("Modules", "Kernel Mapping", "vmalloc() Area", "Vectors"))


def area_of(va):
    return next(name for name, (start, end) in areas.items() if start <= va < end)


# Each kind of memory has its own, so that an address tells what may be done with it: whether pages are consecutive,
# whether a branch of the kernel's reaches it, whether it holds until it is given back or is there for ever.
assert area_of(kmalloc(100, GFP_KERNEL)) == "linear map"
assert area_of(vmalloc(PAGE)) == area_of(ioremap(0x10009000, PAGE)) == "vmalloc"
assert area_of(module_alloc(PAGE)) == "modules"
page = alloc_page(GFP_HIGHUSER)
assert area_of(kmap(page)) == "pkmap"
kunmap(page)
assert area_of(kmap_atomic(alloc_page(GFP_HIGHUSER))) == "fixmap"
program = process()
assert area_of(program.mmap(0, PAGE)) == "programs"

# Between lowmem and the vmalloc area there are 8 MiB that nobody has: who runs over the end of memory faults.
assert layout.VMALLOC_START - k.mm.high_memory == 8 * MIB
assert not k.translate(k.mm.high_memory)

# The split is one number, PAGE_OFFSET. What programs lose, the linear map gains; all else keeps its size.
rows = {}
for split in ("3G/1G", "2G/2G", "1G/3G"):
    other = bootsim.boot("vexpress.dts", config=split, mem="1G")
    low = other.mm.high_memory - other.mm.layout.PAGE_OFFSET
    rows[split] = other.mm.layout.PAGE_OFFSET >> 30, low // MIB, 0xFF800000 - other.mm.layout.VMALLOC_START
    print(f"{split}: PAGE_OFFSET {other.mm.layout.PAGE_OFFSET:#x}, linear map {low // MIB} MiB")
    # modules lie below it, so that the kernel's branches reach them; programs end there
    assert other.mm.layout.MODULES_VADDR == other.mm.layout.TASK_SIZE == other.mm.layout.PAGE_OFFSET - 16 * MIB
assert [row[0] for row in rows.values()] == [3, 2, 1]
# With 3:1 not all of 1 GiB fits: 256 MiB become high memory. With 2:2 and 1:3 it does.
assert [row[1] for row in rows.values()] == [768, 1024, 1024]
