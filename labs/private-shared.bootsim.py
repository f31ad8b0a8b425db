# bootsim: vexpress.dts --mem 256M --cmdline norandmaps
"""Private or shared, anonymous or a file: after a fork, who sees what the child writes?"""

import tempfile
from pathlib import Path

PAGE = 4096
file = Path(tempfile.mkdtemp()) / "data"
file.write_bytes(b"before".ljust(PAGE, b"\0"))

parent = process()
fd = parent.open(file, writable=True)
kinds = {
    "private anonymous": (MAP_PRIVATE | MAP_ANONYMOUS, -1),
    "shared anonymous": (MAP_SHARED | MAP_ANONYMOUS, -1),
    "private file": (MAP_PRIVATE, fd),
    "shared file": (MAP_SHARED, fd),
}
seen = {}
for name, (flags, of) in kinds.items():
    addr = parent.mmap(0, PAGE, PROT_READ | PROT_WRITE, flags, of)
    parent.write(addr, b"parent")
    child = parent.fork()
    child.write(addr, b"child ")
    seen[name] = (parent.read(addr, 6) == b"child ", parent.pread(fd, 6) == b"child ")
    assert (parent.pfn(addr) == child.pfn(addr)) == name.startswith("shared")
    child.exit()
    print(f"{name:<18} the parent sees the child's write: {seen[name][0]!s:<6} the file has it: {seen[name][1]}")

assert seen == {
    "private anonymous": (False, False),
    "shared anonymous": (True, False),
    "private file": (False, False),
    "shared file": (True, True),
}
