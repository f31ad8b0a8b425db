# bootsim: vexpress.dts --mem 256M --cmdline norandmaps
"""A page is to go: who maps it? An anonymous page knows its anon_vma, a file's page its address_space."""

import tempfile
from pathlib import Path

PAGE = 4096


def mappers(page):
    return [int(line.split()[1].rstrip(":")) for line in rmap(page).splitlines() if line.startswith("process")]


# One anonymous page, three generations. The anon_vma that it was made under has a VMA of each of them in its tree, and
# an anon_vma_chain is what ties a VMA to a tree.
p = process()
addr = p.mmap(0, 2 * PAGE)
p.write(addr, b"shared")
page = k.page(p.pfn(addr))
child = p.fork()
grandchild = child.fork()
family = [p, child, grandchild]
vmas = [next(vma for vma in one.task.mm if addr in vma) for one in family]
home = vmas[0].anon_vma
assert page.mapping == home.id | 1  # PAGE_MAPPING_ANON
assert list(home.rb_root) == vmas
assert mappers(page) == [one.pid for one in family]
assert page.mapcount == 2  # counts from -1

# Each VMA has as many chains as it has forebears; all anon_vmas have one root, whose lock is theirs.
assert [len(vma.anon_vma_chain) for vma in vmas] == [1, 2, 3]
assert [vma.anon_vma.root for vma in vmas] == [home] * 3
assert [vma.anon_vma.parent for vma in vmas[1:]] == [vma.anon_vma for vma in vmas[:2]]
print(picture(page))

# A page that the child makes belongs to its own anon_vma: the parent need not be asked about it, its own child must be.
child.write(addr + PAGE, b"new")
grandchild.write(addr, b"copied")
new, copied = k.page(child.pfn(addr + PAGE)), k.page(grandchild.pfn(addr))
assert new.mapping == vmas[1].anon_vma.id | 1
assert list(vmas[1].anon_vma.rb_root) == vmas[1:]
assert (mappers(new), mappers(copied)) == ([child.pid], [grandchild.pid])

# Where a VMA would show it is arithmetic: vm_start + (index - vm_pgoff) pages. A tree names candidates, entries decide.
assert mappers(page) == [p.pid, child.pid]
assert all(vma.vm_start + (page.index - vma.vm_pgoff) * PAGE == addr for vma in vmas)

# A page of a file has no anon_vma: the tree is its file's, and the processes need be no relatives.
file = Path(tempfile.mkdtemp()) / "data"
file.write_bytes(b"data".ljust(3 * PAGE, b"\0"))
stranger = process()
shown = [(one, one.mmap(0, (3 - at) * PAGE, PROT_READ, MAP_SHARED, one.open(file), at * PAGE))
         for one, at in ((p, 0), (stranger, 1))]  # fmt: skip
for one, at in shown:
    one.read(at)
last = k.page(stranger.pfn(shown[1][1] + PAGE))
assert last.index == 2
assert mappers(last) == [p.pid, stranger.pid]
print(picture(last))

# Why all this: compaction takes a page out of all tables, moves it to a higher frame, and puts it back into all.
compact_memory()
moved = k.page(p.pfn(addr))
assert moved.pfn > page.pfn
assert moved.mapping == home.id | 1
assert mappers(moved) == [p.pid, child.pid]
assert p.read(addr, 6) == child.read(addr, 6) == b"shared"

# Who ends is in no tree any more.
p.exit()
assert list(home.rb_root) == vmas[1:]
assert mappers(moved) == [child.pid]
assert moved.mapcount == 0
