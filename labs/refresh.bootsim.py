# bootsim: vexpress.dts --mem 1G --config 3G/1G --cmdline norandmaps
"""A process has a copy of the kernel's first-level entries. Who tells it of new ones, and of those that went?"""

PAGE = 4096
MIB = 1 << 20
SECTION_TRANSLATION, PAGE_TRANSLATION = 5, 7
SIGKILL = 9
ram = k.machine.ram


def pgd_words(process, va):
    """Both words of the first level that lead to an address: of a process, or of the kernel's own table."""
    table = k.mm.init_mm.pgd_pa if process is None else process.task.mm.pgd_pa
    pair = table + (va >> 21) * 8
    return ram.read32(pair), ram.read32(pair + 4)


def walk(va):
    """Read through the tables, mending what can be mended; how many faults that took."""
    fault = load(va)
    if isinstance(fault, int):
        return 0
    assert (fault.fsr, abort(fault)) == (SECTION_TRANSLATION, None)
    assert isinstance(load(va), int)
    return 1


# A table of a process is 16 KiB, too: the words from PAGE_OFFSET on are copied when it is made, whatever they are.
p = process()
for va in range(k.build.config.PAGE_OFFSET, 1 << 32, 2 * MIB):
    assert pgd_words(p, va) == pgd_words(None, va)
switch_to(p)

# vmalloc() makes second-level tables and enters them in the kernel's own table alone. The process knows nothing of it.
area = vmalloc(5 * MIB)
assert area % (2 * MIB) == 0
assert all(pgd_words(None, area))
assert pgd_words(p, area) == (0, 0)

# The kernel touches it while the process runs, and faults; do_translation_fault() copies the entry, and all is well.
# A pair of words for 2 MiB is copied at once: 5 MiB cost three faults, and never again.
assert [walk(area + at) for at in range(0, 5 * MIB, MIB)] == [1, 0, 1, 0, 1]
assert [walk(area + at) for at in range(0, 5 * MIB, MIB)] == [0] * 5
assert pgd_words(p, area) == pgd_words(None, area)

# The second level is not copied but shared: what vmalloc() maps there later is seen at once.
table = pgd_words(p, area)[0] & -PAGE
more = vmalloc(PAGE)
assert more // (2 * MIB) == (area + 4 * MIB) // (2 * MIB)
assert walk(more) == 0

# A process that starts now has all of it from the beginning; so has a child.
later = process()
assert pgd_words(later, area) == pgd_words(None, area)
child = p.fork()
assert pgd_words(child, area) == pgd_words(None, area)

# Why vfree() needs no such care: it clears the entries of the second level, which is everybody's, and keeps the table.
# The first level goes on pointing there in every process; no stale word can lead anywhere.
vfree(area)
vm_unmap_aliases()
for table_of in (None, p, later, child):
    assert pgd_words(table_of, area)[0] & -PAGE == table
fault = load(area)
assert fault.fsr == PAGE_TRANSLATION

# And that fault is nobody's to mend: a use after vfree() is an oops.
assert abort(fault).sig == SIGKILL
assert any("Unable to handle kernel paging request" in record.text for record in k.log.records)

# A new area takes the same addresses, the same tables, and pages of its own: every process sees it without a fault.
assert vmalloc(5 * MIB) == area
for runs in (p, later, child):
    switch_to(runs)
    assert [walk(area + at) for at in range(0, 5 * MIB, MIB)] == [0] * 5
print(f"{area:#x}: the kernel's word {pgd_words(None, area)[0]:08x}, that of every process as well")
