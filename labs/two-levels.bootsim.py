# bootsim: vexpress.dts --mem 1G --config 3G/1G
"""What do page tables cost, in one level and in two? A hundred processes, and what their tables really take."""

import struct
import tempfile
from pathlib import Path

PAGE, MIB = 4096, 1 << 20

# One level: a word for each page of 4 GiB, whether anything is there or not.
one_level = (1 << 32) // PAGE * 4
assert one_level == 4 * MIB
# Two levels: a word for each megabyte, and 256 words more only for a megabyte that has pages.
first_level, second_level = (1 << 32) // MIB * 4, 256 * 4
assert (first_level, second_level) == (16 * 1024, 1024)

header = (b"\x7fELF", 1, 1, 1, 2, 40, 1, 0x10000, 52, 0, 0x05000200, 52, 32, 1, 0, 0, 0)
program = Path(tempfile.mkdtemp()) / "a.elf"
segment = struct.pack("<8I", 1, 0, 0x10000, 0x10000, PAGE, PAGE, 7, PAGE)
program.write_bytes((struct.pack("<4sBBB9xHHIIIIIHHHHHH", *header) + segment).ljust(PAGE, b"\0"))

parent = process(program)
heap = parent.mmap(0, 8 * MIB)
for offset in range(0, 8 * MIB, PAGE):
    parent.write(heap + offset, b"x")
# Linux keeps two second-level tables and its own copy of them in one page: 4 KiB for 2 MiB of addresses. It counts the
# 2 KiB of its own alone in pgtables_bytes (VmPTE).
pages = parent.task.mm.pgtables_bytes // 2048
assert 4 <= pages <= 8  # 8 MiB of heap; the stack, the program, and where they end


def free():
    # by the free lists: the zones' counters lag behind by what a processor has not added to them yet
    drain_all_pages()
    rows = (line.split("zone")[1].split()[1:] for line in cat("/proc/buddyinfo").splitlines())
    return sum(int(count) << order for row in rows for order, count in enumerate(row))


before = free()
children = [parent.fork() for _ in range(99)]
taken = (before - free()) * PAGE
each = first_level + children[0].task.mm.pgtables_bytes // 2048 * PAGE
print(f"100 processes in one level: {100 * one_level // MIB} MiB; in two: {100 * each // 1024} KiB")

# fork() copies tables, not pages: what is gone are 99 times the tables.
assert taken >= 99 * each
assert each < one_level / 50
