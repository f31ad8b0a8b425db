"""Programs in ELF files (fs/binfmt_elf.c): segments, bss, heap, interpreter, and the tables that a program starts with.

        start_stack ->  argc | argv... 0 | envp... 0 | auxv... 0 |  random bytes, "v7l", strings | 4 bytes | TASK_SIZE
"""

import struct

from libc.stdint cimport int64_t, uint32_t

from bootsim.linux.arch.arm.kernel.process cimport arch_setup_additional_pages
from bootsim.linux.fs.exec cimport *
from bootsim.linux.mm.mmap.brk cimport vm_brk_flags
from bootsim.linux.mm.mmap.map cimport vm_mmap_pgoff
from bootsim.linux.mm.mmap.stack cimport find_extend_vma
from bootsim.linux.mm.mmap.structs cimport *
from bootsim.linux.mm.mmap.unmap cimport do_munmap
from bootsim.linux.mm.mmap.vma cimport fput

from bootsim.linux.fs.exec import bprm_execve

cdef enum:
    ET_EXEC = 2
    ET_DYN = 3
    EM_ARM = 40
    PT_LOAD = 1
    PT_INTERP = 3
    PT_GNU_STACK = 0x6474E551
    PF_X = 1
    EF_ARM_EABI_MASK = 0xFF000000U
    ELF_ET_DYN_BASE = 0x400000
    PATH_MAX = 4096
    CPU_ARCH_ARMv6 = 8

cdef dict AT = {
    "NULL": 0, "PHDR": 3, "PHENT": 4, "PHNUM": 5, "PAGESZ": 6, "BASE": 7, "FLAGS": 8, "ENTRY": 9, "UID": 11, "EUID": 12,
    "GID": 13, "EGID": 14, "PLATFORM": 15, "HWCAP": 16, "CLKTCK": 17, "SECURE": 23, "RANDOM": 25, "HWCAP2": 26,
    "EXECFN": 31, "SYSINFO_EHDR": 33,
}


cdef class Segment:
    """struct elf32_phdr."""

    cdef readonly uint32_t type
    cdef readonly uint32_t offset
    cdef readonly uint32_t vaddr
    cdef readonly uint32_t filesz
    cdef readonly uint32_t memsz
    cdef readonly uint32_t flags
    cdef readonly uint32_t align


cdef class Image:
    """An ELF file's headers, and where its parts come to lie: all addresses without load_bias until it is added."""

    cdef object file
    cdef uint32_t kind
    cdef uint32_t entry
    cdef uint32_t phoff
    cdef list segments
    cdef uint32_t load_bias
    cdef uint32_t phdr_addr
    cdef uint32_t bss
    cdef uint32_t brk
    cdef bint bss_exec
    cdef uint32_t start_code
    cdef uint32_t end_code
    cdef uint32_t start_data
    cdef uint32_t end_data


cdef Image read_image(object file):
    """The headers of an ELF program for ARM; None: the file is none.

    Source: fs/binfmt_elf.c load_elf_binary(), load_elf_phdrs(), arch/arm/kernel/elf.c elf_check_arch()
    Differs: programs older than EABI are refused, whatever floating point they use.
    """
    cdef bytes head = file.f_inode.content[:52]
    cdef Image image = Image.__new__(Image)
    cdef Segment s
    if len(head) < 52 or head[:4] != b"\x7fELF":
        return None
    kind, machine, _, entry, phoff, _, flags, _, phentsize, phnum = struct.unpack_from("<HHIIIIIHHH", head, 16)
    if kind not in (ET_EXEC, ET_DYN) or machine != EM_ARM or not flags & EF_ARM_EABI_MASK:
        return None
    if not entry & 1 and entry & 3 or phentsize != 32 or not phnum or phnum * 32 > PAGE_SIZE:
        return None
    if phoff + 32 * phnum > len(file.f_inode.content):
        return None
    image.file, image.kind, image.entry, image.phoff, image.segments = file, kind, entry, phoff, []
    for i in range(phnum):
        s = Segment.__new__(Segment)
        (s.type, s.offset, s.vaddr, _, s.filesz, s.memsz, s.flags, s.align) = struct.unpack_from(
            "<8I", file.f_inode.content, phoff + 32 * i)
        image.segments.append(s)
    return image


cdef uint32_t make_prot(uint32_t flags) noexcept:
    return (PROT_READ if flags & 4 else 0) | (PROT_WRITE if flags & 2 else 0) | (PROT_EXEC if flags & PF_X else 0)


cdef int64_t elf_map(UserMm mm, object file, uint32_t addr, Segment s, uint32_t flags,
                     uint32_t total_size) except? NO_ANSWER:
    """Map a segment of a file; its address, or -errno. `total_size`: room for all segments is found with the first.

    Source: fs/binfmt_elf.c elf_map()
    """
    cdef uint32_t within = s.vaddr & ~<uint32_t>PAGE_MASK
    cdef uint32_t size = page_align(s.filesz + within)
    cdef uint32_t prot = make_prot(s.flags)
    cdef uint32_t pgoff = (s.offset - within) >> PAGE_SHIFT
    cdef int64_t at
    addr &= PAGE_MASK
    if not size:
        return addr
    if (s.offset - within) & ~<uint32_t>PAGE_MASK:
        return -EINVAL
    if not total_size:
        return vm_mmap_pgoff(mm, file, addr, size, prot, flags, pgoff)
    total_size = page_align(total_size)
    at = vm_mmap_pgoff(mm, file, addr, total_size, prot, flags, pgoff)
    if 0 <= at < mm.task_size:
        do_munmap(mm, <uint32_t>at + size, total_size - size)
    return at


cdef uint32_t total_mapping_size(Image image) except? 0xFFFFFFFF:
    cdef list loads = [s for s in image.segments if (<Segment>s).type == PT_LOAD]
    cdef Segment first, last
    if not loads:
        return 0
    first, last = loads[0], loads[len(loads) - 1]
    return last.vaddr + last.memsz - (first.vaddr & PAGE_MASK)


cdef bint fits(UserMm mm, Segment s, uint32_t addr) noexcept:
    # Whether a segment at an address lies in user space.
    return (addr < mm.task_size and s.filesz <= s.memsz <= mm.task_size and mm.task_size - s.memsz >= addr)


cdef int64_t set_brk(UserMm mm, uint32_t start, uint32_t end, bint executable) except? NO_ANSWER:
    # The pages of the bss, and the heap behind it. Source: fs/binfmt_elf.c set_brk()
    cdef int64_t error
    start, end = page_align(start), page_align(end)
    if end > start:
        error = vm_brk_flags(mm, start, end - start, VM_EXEC if executable else 0)
        if error:
            return error
    mm.start_brk = mm.brk = end
    return 0


cdef int64_t padzero(UserMm mm, uint32_t bss) except? NO_ANSWER:
    # What of the file lies behind the data in its last page. Source: fs/binfmt_elf.c padzero()
    cdef uint32_t within = bss & ~<uint32_t>PAGE_MASK
    return copy_to_user(mm, bss, bytes(PAGE_SIZE - within)) if within else 0


cdef uint32_t first_bias(Image image, bint interpreted) except? 0xFFFFFFFF:
    # Where the first segment of a position-independent program is asked for.
    cdef uint32_t bias = 0
    cdef uint32_t alignment = 0
    cdef Segment s
    if interpreted:
        bias = ELF_ET_DYN_BASE
        for s in image.segments:
            if s.type == PT_LOAD and s.align and not s.align & (s.align - 1):
                alignment = max(alignment, s.align)
        alignment = page_align(alignment)
        if alignment:
            bias &= ~(alignment - 1)
    return bias


cdef int64_t map_segments(UserMm mm, Image image, bint interpreted) except? NO_ANSWER:
    """Map the segments of a program, and note where code, data, bss and heap are; 0 or -errno.

    Source: fs/binfmt_elf.c load_elf_binary()
    """
    cdef Segment s
    cdef uint32_t flags, total_size
    cdef bint placed = False
    cdef int64_t at
    image.start_code = 0xFFFFFFFF
    for s in image.segments:
        if s.type != PT_LOAD:
            continue
        if image.brk > image.bss:  # another segment behind one with a bss
            at = set_brk(mm, image.bss + image.load_bias, image.brk + image.load_bias, image.bss_exec)
            if at:
                return at
            padzero(mm, image.bss + image.load_bias)
        flags, total_size = MAP_PRIVATE | MAP_DENYWRITE | MAP_EXECUTABLE, 0
        if image.kind == ET_EXEC or placed:
            flags |= MAP_FIXED
        else:
            if interpreted:
                flags |= MAP_FIXED
            image.load_bias = (first_bias(image, interpreted) - s.vaddr) & PAGE_MASK
            total_size = total_mapping_size(image)
            if not total_size:
                return -EINVAL
        at = elf_map(mm, image.file, image.load_bias + s.vaddr, s, flags, total_size)
        if at < 0 or at >= mm.task_size:
            return at if at < 0 else -EINVAL
        if not placed and image.kind == ET_DYN:
            image.load_bias += <uint32_t>at - ((image.load_bias + s.vaddr) & PAGE_MASK)
        placed = True
        if not fits(mm, s, s.vaddr):
            return -EINVAL
        note(image, s)
    return 0


cdef int note(Image image, Segment s) except -1:
    # What one segment means for the bounds of code, data, bss and heap.
    cdef uint32_t end = s.vaddr + s.filesz
    if s.offset <= image.phoff < s.offset + s.filesz:
        image.phdr_addr = image.phoff - s.offset + s.vaddr
    if s.flags & PF_X:
        image.start_code = min(image.start_code, s.vaddr)
        image.end_code = max(image.end_code, end)
    image.start_data = max(image.start_data, s.vaddr)
    image.bss, image.end_data = max(image.bss, end), max(image.end_data, end)
    if s.vaddr + s.memsz > image.brk:
        image.brk, image.bss_exec = s.vaddr + s.memsz, s.flags & PF_X
    return 0


cdef int64_t load_elf_interp(UserMm mm, Image image, uint32_t no_base) except? NO_ANSWER:
    """Map a program's interpreter; its load address, or -errno. Source: fs/binfmt_elf.c load_elf_interp()"""
    cdef Segment s
    cdef uint32_t total_size = total_mapping_size(image)
    cdef uint32_t flags
    cdef uint32_t load_addr = 0
    cdef bint placed = False
    cdef int64_t at
    if not total_size:
        return -EINVAL
    for s in image.segments:
        if s.type != PT_LOAD:
            continue
        flags = MAP_PRIVATE | MAP_DENYWRITE
        if image.kind == ET_EXEC or placed:
            flags |= MAP_FIXED
        elif no_base:
            load_addr = -s.vaddr
        at = elf_map(mm, image.file, load_addr + s.vaddr, s, flags, total_size)
        total_size = 0
        if at < 0 or at >= mm.task_size:
            return at if at < 0 else -EINVAL
        if not placed and image.kind == ET_DYN:
            load_addr = <uint32_t>at - (s.vaddr & PAGE_MASK)
            placed = True
        if not fits(mm, s, load_addr + s.vaddr):
            return -ENOMEM
        note(image, s)
    if padzero(mm, load_addr + image.bss):
        return -EFAULT
    at = page_align(load_addr + image.bss)
    if page_align(load_addr + image.brk) > at:
        at = vm_brk_flags(mm, <uint32_t>at, page_align(load_addr + image.brk) - <uint32_t>at,
                          VM_EXEC if image.bss_exec else 0)
        if at:
            return at
    return load_addr


cdef list auxiliary_vector(LinuxBinprm bprm, Image image, uint32_t interp_load_addr, uint32_t u_rand_bytes,
                           uint32_t u_platform):
    """(type, value) pairs, in the kernel's order. Source: fs/binfmt_elf.c create_elf_tables()"""
    cdef UserMm mm = bprm.mm
    cdef list entries = [("HWCAP", 0), ("PAGESZ", PAGE_SIZE), ("CLKTCK", 100),
                         ("PHDR", image.phdr_addr + image.load_bias), ("PHENT", 32), ("PHNUM", len(image.segments)),
                         ("BASE", interp_load_addr), ("FLAGS", 0), ("ENTRY", image.entry + image.load_bias)]
    entries += [(name, 0) for name in ("UID", "EUID", "GID", "EGID", "SECURE")]
    entries += [("RANDOM", u_rand_bytes), ("HWCAP2", 0), ("EXECFN", bprm.exec_va), ("PLATFORM", u_platform)]
    if mm.processes.k.build.config.VDSO:
        entries.insert(0, ("SYSINFO_EHDR", mm.vdso))
    return [(AT[name], value) for name, value in [*entries, ("NULL", 0)]]


cdef int64_t create_elf_tables(LinuxBinprm bprm, Image image, uint32_t interp_load_addr) except? NO_ANSWER:
    """Put argc, argv, envp and the auxiliary vector on the stack; 0 or -errno.

    Source: fs/binfmt_elf.c create_elf_tables()
    Differs: AT_HWCAP, AT_HWCAP2 and the 16 random bytes are zero; the program is root's.
    """
    cdef UserMm mm = bprm.mm
    cdef bytes platform = elf_platform(mm.processes.k)
    cdef uint32_t p = bprm.p
    cdef uint32_t u_platform, u_rand_bytes
    cdef list words, arguments = []
    p -= <uint32_t>len(platform)
    u_platform = p
    p -= 16
    u_rand_bytes = p
    if copy_to_user(mm, u_platform, platform) or copy_to_user(mm, u_rand_bytes, bytes(16)):
        return -EFAULT
    mm.saved_auxv = auxiliary_vector(bprm, image, interp_load_addr, u_rand_bytes, u_platform)
    words = [word for pair in mm.saved_auxv for word in pair]
    bprm.p = (p - 4 * <uint32_t>(len(words) + len(bprm.argv) + len(bprm.envp) + 3)) & ~<uint32_t>15
    if find_extend_vma(mm, bprm.p) is None:
        return -EFAULT
    p = mm.arg_start
    for strings in (bprm.argv, bprm.envp):
        for text in strings:
            arguments.append(p)
            p += <uint32_t>len(text) + 1
        arguments.append(0)
        if strings is bprm.argv:
            mm.arg_end = mm.env_start = p
    mm.env_end = p
    words = [len(bprm.argv), *arguments, *words]
    return -EFAULT if copy_to_user(mm, bprm.p, struct.pack(f"<{len(words)}I", *words)) else 0


cdef bytes elf_platform(k):
    # The name of the architecture with the byte order behind it, as the program reads it.
    return k.procinfo.elf_name.encode() + b"l\0"


cdef object find_interpreter(LinuxBinprm bprm, Image image):
    # The image of the interpreter that a program names; None: it names none; -errno.
    cdef Segment s
    cdef Image found
    for s in image.segments:
        if s.type != PT_INTERP:
            continue
        path = image.file.f_inode.content[s.offset:s.offset + s.filesz]
        if s.filesz > PATH_MAX or s.filesz < 2 or not path.endswith(b"\0"):
            return -ENOEXEC
        file = bprm.open_exec(path[:len(path) - 1].decode(errors="replace")) if bprm.open_exec is not None else -2
        if isinstance(file, int):
            return file
        found = read_image(file)
        return -ELIBBAD if found is None else found
    return None


cdef int stack_kind(Image image) except -1:
    cdef Segment s
    cdef int kind = EXSTACK_DEFAULT
    for s in image.segments:
        if s.type == PT_GNU_STACK:
            kind = EXSTACK_ENABLE_X if s.flags & PF_X else EXSTACK_DISABLE_X
    return kind


cdef int64_t load_image(LinuxBinprm bprm, Image image, Image interpreter) except? NO_ANSWER:
    # What is done once there is no way back. Source: fs/binfmt_elf.c load_elf_binary()
    cdef UserMm mm = bprm.mm
    cdef uint32_t interp_load_addr = 0
    cdef int stack = stack_kind(image)
    cdef int64_t error
    begin_new_exec(bprm)
    bprm.task.personality &= ~<uint32_t>READ_IMPLIES_EXEC
    if stack == EXSTACK_DEFAULT or mm.processes.k.cpu_architecture < CPU_ARCH_ARMv6:
        bprm.task.personality |= READ_IMPLIES_EXEC
    error = setup_arg_pages(bprm, stack)
    error = error or map_segments(mm, image, interpreter is not None)
    if error:
        return error
    error = set_brk(mm, image.bss + image.load_bias, image.brk + image.load_bias, image.bss_exec)
    if error:
        return error
    if image.bss != image.brk and padzero(mm, image.bss + image.load_bias):
        return -EFAULT
    if interpreter is not None:
        error = load_elf_interp(mm, interpreter, image.load_bias)
        if error < 0:
            return error
        interp_load_addr = <uint32_t>error
    error = arch_setup_additional_pages(mm)
    error = error or create_elf_tables(bprm, image, interp_load_addr)
    if error:
        return error
    mm.start_code, mm.end_code = image.start_code + image.load_bias, image.end_code + image.load_bias
    mm.start_data, mm.end_data = image.start_data + image.load_bias, image.end_data + image.load_bias
    mm.start_stack = bprm.p
    return 0


def load_elf_binary(LinuxBinprm bprm not None):
    """Load a program; 0 or -errno. An error behind the point of no return ends the process.

    Source: fs/binfmt_elf.c load_elf_binary()
    """
    cdef Image image = read_image(bprm.file)
    cdef object interpreter
    cdef int64_t error
    if image is None or bprm.file.f_op.mmap is None:
        return -ENOEXEC
    interpreter = find_interpreter(bprm, image)
    if isinstance(interpreter, int):
        return interpreter
    error = load_image(bprm, image, interpreter)
    if interpreter is not None:
        fput((<Image>interpreter).file)
    return error


def execve(Task task not None, file not None, list argv not None, list envp not None, open_exec=None):
    """execve() of a file that is open: 0 or -errno. `open_exec(path)` opens a program's interpreter, or is -errno.

    The bytes of a file are its inode's `content`. Source: fs/exec.c do_execve()
    """
    return bprm_execve(task, file, load_elf_binary, argv, envp, open_exec)
