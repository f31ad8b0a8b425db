"""Bytes of a process, read and written as it does it: through its page tables, with the faults on the way."""

from libc.stdint cimport uint32_t

from bootsim.linux.arch.arm.asm.pgtable_2level cimport PAGE_SIZE
from bootsim.linux.mm.memory.fault cimport ProcessPages
from bootsim.linux.mm.mmap.structs cimport PAGE_MASK, Task

from bootsim.linux.mm.memory.fault import do_page_fault


def access_user(Task task not None, ProcessPages pages not None, uint32_t addr, uint32_t size, bytes data=None):
    """Read `size` bytes as a user program does, or write `data`: the bytes, or (signal, code, address).

    A signal comes at the first byte that the program may not access; what lies before it has been written.
    """
    cdef uint32_t done = 0
    cdef uint32_t at, count, pa
    cdef list parts = []
    if data is not None:
        size = <uint32_t>len(data)
    while done < size:
        at = addr + done
        signal, code = do_page_fault(task, pages, at, data is not None)
        if signal:
            return signal, code, at
        count = min(size - done, PAGE_SIZE - (at & ~<uint32_t>PAGE_MASK))
        pa = (pages.ram.load32(pages.pte_offset(task.mm, at)) & PAGE_MASK) | (at & ~<uint32_t>PAGE_MASK)
        if data is not None:
            pages.k.machine.ram.write(pa, data[done:done + count])
        else:
            parts.append(pages.k.machine.ram.read(pa, count))
        done += count
    return b"".join(parts) if data is None else data
