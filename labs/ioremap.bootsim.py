# bootsim: vexpress.dts --mem 1G --config 3G/1G
"""How does a driver get at a device's registers, and what keeps it from mapping RAM that way?"""

PAGE = 4096
UART = 0x10009000

# Registers lie at physical addresses that nothing maps: ioremap() takes addresses of the vmalloc area and maps them.
assert not any(base <= UART < end for base, end in [(r.base, r.base + r.size) for r in k.mm.memblock.memory.regions])
va = ioremap(UART, PAGE)
assert k.mm.layout.VMALLOC_START <= va < 0xFF800000
found = k.translate(va)
assert found.pa == UART
# Device memory: not cached, not executed, in order.
assert found.memory.type == "device"
assert not k.translate(va, "execute")

# An address within a page is kept; the page is mapped.
assert ioremap(UART + 0x18, 4) % PAGE == 0x18

# What is large is aligned to its size, so that it could be mapped with large entries.
assert ioremap(0x40000000, 300 << 10) % (512 << 10) == 0

# Mapped twice, the same registers have two addresses.
assert ioremap(UART, PAGE) != va

# RAM has its mapping already, with another memory type. Two types for one page are undefined: the kernel refuses.
assert ioremap(k.mm.phys_offset + (64 << 20), PAGE) == 0
assert any("arch/arm/mm/ioremap.c" in record.text for record in k.log.records)

assert f"phys={UART:#010x} ioremap" in cat("/proc/vmallocinfo")
iounmap(va)
assert not k.translate(va)
