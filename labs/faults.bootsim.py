# bootsim: vexpress.dts --mem 512M --config 3G/1G
"""What does a processor tell of an access that fails, and what does the kernel make of it?"""

PAGE = 4096
registers = k.cpus[0].cp15
SIGBUS, SIGKILL = 7, 9

# No translation: the table's first level has nothing. DFSR tells 5, with bit 11 a write; DFAR where it was.
hole = k.mm.layout.VMALLOC_START
fault = store(hole, 1)
assert (fault.kind, fault.level) == ("translation", "section")
assert (registers.dfsr, registers.dfar) == (0x805, hole)

# Nobody can bring such a page in: the kernel that touches it ends in an oops.
assert abort(fault).sig == SIGKILL
assert any("Unable to handle kernel paging request" in record.text for record in k.log.records)

# No permission: the kernel's code is read alone, and only it may be executed. A fetch has registers of its own.
text = k.build.symbols.text & -1 << 20 | 1 << 20
assert store(text, 0).kind == "permission"
assert registers.dfsr & 0x40F == 0xD
assert isinstance(fetch(text), int)
page = vmalloc(PAGE)
assert fetch(page).kind == "permission"
assert (registers.ifsr & 0x40F, registers.ifar) == (0xF, page)

# A program may not touch the kernel's memory at all, and the fault is the same: who asks matters, not what is there.
assert load(page) == 0
assert load(page, privileged=False).kind == "permission"

# Half a word may lie anywhere in normal memory, but a register of a device wants its own address.
assert load(page + 1, size=2) == 0
device = ioremap(0x10009000, PAGE)
assert isinstance(load(device), int)
assert load(device + 2).kind == "alignment"
assert (registers.dfsr, registers.dfar) == (1, device + 2)

# Behind the MMU: an address that neither RAM nor a device answers at is translated, and then aborted from outside.
nobody = ioremap(0x30000000, PAGE)
assert k.translate(nobody)
fault = load(nobody)
assert (fault.kind, registers.dfsr) == ("external abort", 8)
assert abort(fault, privileged=False).sig == SIGBUS
assert any("external abort on non-linefetch (0x008)" in record.text for record in k.log.records)
