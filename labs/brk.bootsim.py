# bootsim: vexpress.dts --mem 256M --cmdline norandmaps
"""How does a heap grow, what does brk() answer when it may not, and why does it never reach the stack?"""

PAGE = 4096

p = process()
start = p.brk(0)
assert p.brk(start + 3 * PAGE) == start + 3 * PAGE
assert "[heap]" in p.maps
assert p.pfn(start) is None
p.write(start, b"x")
assert p.pfn(start) is not None

# What brk() takes away is gone; a refusal is no error, but the old end.
assert p.brk(start) == start
assert p.touch(start) == "SIGSEGV"
fixed = p.mmap(start + 8 * PAGE, PAGE, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED)
assert p.brk(start + 9 * PAGE) == start
assert p.munmap(fixed, PAGE) == 0

# Between heap and stack lies the area of mmap(), which fills downwards from mmap_base: whatever it put lowest ends the
# heap. brk() wants one page more than it takes.
lowest = p.mmap(0, PAGE)
assert p.brk(lowest - PAGE) == start  # 3 GiB of promises are too many for 256 MiB of memory
assert sysctl("vm.overcommit_memory", 1) == 1
assert p.brk(lowest - PAGE) == lowest - PAGE
assert p.brk(lowest) == lowest - PAGE

# mmap_base leaves room above itself for the stack: its limit, but no less than 128 MiB. The stack may have 8 MiB of it.
STACK, UNLIMITED = 3, 0xFFFFFFFF
mm = p.task.mm
top = next(v.vm_end for v in mm if v.vm_start <= mm.start_stack < v.vm_end)
assert (top, top - mm.mmap_base) == (mm.task_size, 128 << 20)
assert p.task.getrlimit(STACK)[0] == 8 << 20
assert p.touch(top - (8 << 20), write=True) == ""
assert p.touch(top - (8 << 20) - PAGE, write=True) == "SIGSEGV"

# So 120 MiB are nobody's: the stack may not, the heap cannot, and mmap() goes there last, when all below is full.
assert p.mmap(0, 64 << 20) == mm.mmap_base

# Even a larger limit does not let a stack come near to what is mapped below it: 256 pages between them stay free.
GUARD = 256 * PAGE
p.setrlimit(STACK, UNLIMITED)
below = p.mmap(top - (16 << 20), PAGE, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED)
assert p.touch(below + PAGE + GUARD, write=True) == ""
assert p.touch(below + GUARD, write=True) == "SIGSEGV"

# Nor does the heap, if nothing else lies between the two.
q = process()
for vma in [v for v in q.task.mm if start <= v.vm_start < q.task.mm.start_stack - (1 << 20)]:
    assert q.munmap(vma.vm_start, vma.vm_end - vma.vm_start) == 0
stack = next(v.vm_start for v in q.task.mm if v.vm_start <= q.task.mm.start_stack < v.vm_end)
assert q.brk(stack - GUARD) == start
assert q.brk(stack - GUARD - PAGE) == stack - GUARD - PAGE
