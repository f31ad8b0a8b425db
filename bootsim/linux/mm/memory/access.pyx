"""What a process does to its memory: an access with the faults on the way, and bytes read and written so."""

from libc.stdint cimport int64_t, uint32_t

from bootsim.linux.arch.arm.asm.pgtable_2level cimport *
from bootsim.linux.kernel.signal cimport *
from bootsim.linux.mm.memory.fault cimport MAX_FAULTS, ProcessPages
from bootsim.linux.mm.mmap.stack cimport expand_stack
from bootsim.linux.mm.mmap.structs cimport (
    FIRST_USER_ADDRESS, NO_ANSWER, PAGE_MASK, VM_ACCESS_FLAGS, VM_EXEC, VM_GROWSDOWN, VM_WRITE, Processes, Task,
    UserMm, VmAreaStruct, current_mm)
from bootsim.linux.mm.mmap.vma cimport find_vma

from bootsim.linux.kernel.fork.dup import do_exit
from bootsim.linux.kernel.printk import KERN_WARNING, step
from bootsim.linux.mm.oom_kill.kill import pagefault_out_of_memory


cdef enum:
    HANDLED = 1 << 20


cdef int64_t access_once(Task task, ProcessPages pages, uint32_t addr, bint write, bint execute) except? NO_ANSWER:
    # The signal of an access, and its code from bit 8 on; 0: it passes, HANDLED: there was a fault, and it is to be
    # tried again. Source: arch/arm/mm/fault.c __do_page_fault(), access_error()
    cdef UserMm mm = current_mm(task)
    cdef VmAreaStruct vma
    cdef uint32_t ptep, pte, allowed
    cdef uint32_t mask = VM_EXEC if execute else VM_WRITE if write else VM_ACCESS_FLAGS
    cdef int64_t signal
    if addr >= mm.task_size and pages.ram.load32(pmd_in(mm.pgd_pa, addr)) & PMD_TYPE_MASK != PMD_TYPE_TABLE:
        return SIGSEGV | SEGV_MAPERR << 8
    ptep = pages.pte_offset(mm, addr)
    pte = pages.ram.load32(ptep) if ptep else 0
    allowed = L_PTE_VALID | L_PTE_YOUNG | L_PTE_USER
    if pte & allowed == allowed and not (execute and pte & L_PTE_XN) and (
            not write or (pte & L_PTE_DIRTY and not pte & L_PTE_RDONLY)):
        return 0
    vma = find_vma(mm, addr)
    if vma is None or addr >= mm.task_size:
        return SIGSEGV | SEGV_MAPERR << 8
    if vma.vm_start > addr:
        if not vma.vm_flags & VM_GROWSDOWN or addr < FIRST_USER_ADDRESS or expand_stack(vma, addr):
            return SIGSEGV | SEGV_MAPERR << 8
    if not vma.vm_flags & mask:
        return SIGSEGV | SEGV_ACCERR << 8
    signal = pages.handle_mm_fault(vma, addr, write)
    if signal == SIGKILL and not task.fatal_signal_pending:
        pagefault_out_of_memory(pages.k)
        task.fatal_signal_pending = True
    return signal | (BUS_ADRERR << 8 if signal == SIGBUS else 0) if signal else HANDLED


cdef int64_t fault_of(Task task, ProcessPages pages, uint32_t addr, bint write, bint execute) except? NO_ANSWER:
    # The same until the access passes: while a fault waits for memory, reclaim may take the page that it was for.
    # Differs: the kernel tries for ever.
    cdef int64_t found = HANDLED
    for _ in range(MAX_FAULTS):
        found = access_once(task, pages, addr, write, execute)
        if found != HANDLED:
            return found
        if task.fatal_signal_pending:
            return SIGKILL
    step(pages.k, "process {pid}: after {times} faults on {addr:#x} its entry still does not let the access pass: the "
         "program would fault for ever, and is ended", func="do_page_fault", level=KERN_WARNING, pid=task.pid,
         times=MAX_FAULTS, addr=addr)
    task.fatal_signal_pending = True
    return SIGKILL


def do_page_fault(Task task not None, ProcessPages pages not None, uint32_t addr, bint write, bint execute=False):
    """Read, write or execute as a user program: (signal, code), (0, 0) where it may.

    The stack grows before the check.

    An entry that lets the access pass makes no fault. Who is killed meanwhile ends when the fault has been dealt with.
    Source: arch/arm/mm/fault.c do_page_fault(), do_translation_fault(), kernel/signal.c get_signal()
    """
    cdef Processes room = task.processes
    cdef Task before = room.current
    cdef int64_t found
    task.in_kernel += 1
    try:
        found = fault_of(task, pages, addr, write, execute)
    finally:
        task.in_kernel -= 1
        room.current = before if before is not None and before.mm is not None else None
    if task.fatal_signal_pending and not task.in_kernel:
        do_exit(task, SIGKILL)
        return SIGKILL, 0
    return found & 0xFF, found >> 8


def access_user(Task task not None, ProcessPages pages not None, uint32_t addr, uint32_t size, bytes data=None):
    """Read `size` bytes as a user program does, or write `data`: the bytes, or (signal, code, address).

    A signal comes at the first byte that the program may not access; what lies before it has been written.
    Source: arch/arm/mm/fault.c do_page_fault()
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
