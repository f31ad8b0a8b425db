# bootsim: vexpress.dts --mem 1G --config 3G/1G
"""What does a TLB keep, and for whom? Hits and walks, address spaces by number, and a flush that is forgotten."""

import struct
import tempfile
from pathlib import Path

PAGE = 4096


def counted(name):
    return k.machine.main_tlb().statistics().get(name, 0)


# The first access to a page walks the tables, those that follow find the entry. Lowmem is mapped by sections of 1 MiB:
# one entry does for 256 pages.
tlb(128, 2)
for offset in range(0, 1 << 20, PAGE):
    load(0xC1000000 + offset)
assert (counted("misses"), counted("hits")) == (1, 255)

# vmalloc() maps by pages: each has an entry of its own, and 200 of them do not fit into 128 places.
va = vmalloc(200 * PAGE)
for _round in range(2):
    for page in range(200):
        load(va + page * PAGE)
assert counted("evictions") > 0
assert len(k.machine.main_tlb()) == 128

# vfree() unmaps at once and flushes later: until the addresses are purged, the TLB answers for pages that are free.
last = va + 199 * PAGE
load(last)
vfree(va)
assert not k.translate(last)
assert isinstance(load(last), int)
vm_unmap_aliases()
assert not isinstance(load(last), int)

# Two processes have the same addresses. Their entries bear a number (ASID), so that none needs a flush at a switch.
program = Path(tempfile.mkdtemp()) / "a.elf"
header = (b"\x7fELF", 1, 1, 1, 2, 40, 1, 0x10000, 52, 0, 0x05000200, 52, 32, 1, 0, 0, 0)
head = struct.pack("<4sBBB9xHHIIIIIHHHHHH", *header)
program.write_bytes((head + struct.pack("<8I", 1, 0, 0x10000, 0x10000, PAGE, PAGE, 7, PAGE)).ljust(PAGE, b"\0"))
parent = process(program)
addr = parent.mmap(0, PAGE)
parent.write(addr, b"\1\0\0\0")
child = parent.fork()
child.write(addr, b"\2\0\0\0")
flushes = counted("TLBIALL")
for p, word in ((parent, 1), (child, 2), (parent, 1), (child, 2)):
    switch_to(p)
    assert load(addr, privileged=False) == word
assert {e.asid for e in k.machine.main_tlb().entries() if not e.is_global} == {1, 2}
assert counted("TLBIALL") == flushes

# And if munmap() forgot its flush: the program goes on reading a page that is somebody else's by now.
with without_flushes():
    child.munmap(addr, PAGE)
assert load(addr, privileged=False) == 2
assert counted("forgotten") > 0
flush_tlb_all()
assert load(addr, privileged=False).kind == "translation"
