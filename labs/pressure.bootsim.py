# bootsim: vexpress.dts --mem 64M --cmdline "norandmaps cma=0"
"""What makes way when memory runs out? Clean pages of files; then anonymous pages, if they have anywhere to go; then a
process.
"""

import tempfile

PAGE = 4096
FILE = 3000  # pages


def counter(name):
    return int(cat("/proc/vmstat").grep(f"^{name} ").split()[1])


def write(process, addr, first, count):
    for i in range(first, first + count):
        process.write(addr + i * PAGE, i.to_bytes(4, "little"))
    return first + count


init = process()  # which nobody kills
reader, hog = process(), process()

# A file is in memory as a whole once it has been read, though it is mapped nowhere else: its pages are a cache.
with tempfile.NamedTemporaryFile() as data:
    data.write(b"".join(i.to_bytes(4, "little") * (PAGE // 4) for i in range(FILE)))
    data.flush()
    fd = reader.open(data.name)
text = reader.mmap(0, FILE * PAGE, PROT_READ, MAP_PRIVATE, fd)
for i in range(FILE):
    reader.read(text + i * PAGE, 4)
assert counter("pgsteal_file") == 0

# Somebody wants more than is free. kswapd is woken below the low watermark, and drops pages of the file: nothing is
# written, since the disk has them.
size = 20000
addr = hog.mmap(0, size * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE)
written = 0
while counter("pgsteal_file") < FILE // 2:
    written = write(hog, addr, written, 100)
assert counter("pageoutrun") > 0
assert counter("pswpout") == 0
assert reader.pfn(text) is None
assert hog.pfn(addr) is not None

# The reader does not notice, but for the time: what is gone is read again, a major fault.
before = counter("pgmajfault")
assert reader.read(text, 4) == bytes(4)
assert counter("pgmajfault") == before + 1
assert counter("workingset_refault_file") > 0

# With a swap area anonymous pages make way, too, the oldest first. Each gets a slot, which its entry names then.
assert swapon("16M") == 0
while counter("pswpout") < 1000:
    written = write(hog, addr, written, 100)
gone = next(i for i in range(written) if hog.pfn(addr + i * PAGE) is None)
assert "/dev/vda2" in str(hog.vtop(addr + gone * PAGE))
assert int(hog.status.grep("VmSwap").split()[1]) > 0

# Reading one brings it back, and its neighbours in the area with it.
before = counter("pgmajfault"), counter("pswpin")
assert hog.read(addr + gone * PAGE, 4) == gone.to_bytes(4, "little")
assert counter("pgmajfault") == before[0] + 1
assert counter("pswpin") > before[1]

# When the area is full and the file gone, nothing is left but to end somebody: who has most.
while not (signal := hog.touch(addr + written * PAGE, write=True)):
    written += 1
assert signal == "SIGKILL"
assert counter("oom_kill") == 1
in_swap = [int(p.status.grep("VmSwap").split()[1]) for p in (init, reader)]
assert int(cat("/proc/swaps").splitlines()[1].split()[3]) == sum(in_swap)  # only theirs are left in the area
for i in range(FILE):
    assert reader.read(text + i * PAGE, 4) == i.to_bytes(4, "little")
