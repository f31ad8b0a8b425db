"""Character devices: a name and a number lead to a driver's functions, which read, write and map (fs/char_dev.c)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from bootsim.errors import InputError
from bootsim.linux.include.linux.errno import EBUSY, EINVAL
from bootsim.linux.include.linux.fs import FMODE_READ, FMODE_WRITE, S_IFCHR, File, FileOperations, Inode
from bootsim.linux.include.linux.mm_types import Page
from bootsim.linux.kernel.fork.init import processes
from bootsim.linux.kernel.printk import KERN_ERR, printk, step
from bootsim.linux.mm.memory.driver import MAPPED_ITSELF, NO_MEMORY, NO_PAGE
from bootsim.linux.mm.mmap.structs import VmOperationsStruct
from bootsim.linux.mm.page_alloc import page_info, set_page_count
from bootsim.page import PAGE_SHIFT

if TYPE_CHECKING:
    from bootsim.linux import Kernel
    from bootsim.linux.mm.mmap.structs import VmAreaStruct

VM_FAULT_OOM, VM_FAULT_SIGBUS, VM_FAULT_NOPAGE = 0x1, 0x2, 0x100
CHRDEV_MAJOR_MAX = 512
_DYNAMIC = (*range(254, 233, -1), *range(511, 383, -1))  # CHRDEV_MAJOR_DYN_END, _DYN_EXT_START and _DYN_EXT_END


class VmFault:
    """struct vm_fault, as a driver's fault handler gets it; it answers by `page`.

    `address` is that of the page that was missed, `pgoff` its place in the device, in pages.
    """

    def __init__(self, vma: VmAreaStruct, pgoff: int) -> None:
        self.vma = vma
        self.pgoff = pgoff
        self.address = vma.vm_start + (pgoff - vma.vm_pgoff << PAGE_SHIFT)
        self.page: Any = None


def _fault(vma: VmAreaStruct, pgoff: int) -> int:
    # The frame that a driver's handler answers with. Source: mm/memory.c __do_fault()
    device, vmf = vma.vm_file.f_op, VmFault(vma, pgoff)
    answer = device.fault(vmf)
    if not isinstance(answer, int):
        raise InputError(f"{type(device).__name__}.fault() answers {answer!r}: expected 0 or VM_FAULT_...")
    if answer & VM_FAULT_NOPAGE:
        if not vma.vm_mm.pages.entry(vma.vm_mm, vmf.address):  # type: ignore[attr-defined]
            raise InputError(f"{type(device).__name__}.fault() answers VM_FAULT_NOPAGE and maps nothing at "
                             f"{vmf.address:#x}: the program would fault for ever")
        return MAPPED_ITSELF
    if answer & (VM_FAULT_OOM | VM_FAULT_SIGBUS):  # arch/arm/mm/fault.c looks at VM_FAULT_OOM first
        return NO_MEMORY if answer & VM_FAULT_OOM else NO_PAGE
    pfn = vmf.page.pfn if isinstance(vmf.page, Page) else vmf.page
    if not isinstance(pfn, int):
        raise InputError(f"{type(device).__name__}.fault() answers 0 and leaves vmf.page {vmf.page!r}")
    # finish_fault() hands the driver's reference, of get_page(), to the entry
    k = vma.vm_mm.processes.k
    set_page_count(k, pfn, page_info(k, pfn)["refcount"] - 1)
    return pfn


class CharDevice(FileOperations):
    """A driver of a character device. Each may be given: open, read, write, mmap, release, and the fault handler.

        read(file, count, pos)    bytes, or -errno
        write(file, data, pos)    how many bytes, or -errno
        mmap(file, vma)           0 or -errno: remap_pfn_range(), vm_insert_page(), or `vma.vm_ops = self.vm_ops`
        fault(vmf)                0 with vmf.page and its get_page(), VM_FAULT_NOPAGE after vm_insert_page(), ..._SIGBUS

    Differs: after VM_FAULT_OOM the program would fault again and again; it ends, since nobody frees memory meanwhile.
    """

    open: Any = None
    read: Any = None
    write: Any = None
    fault: Any = None
    vm_ops = VmOperationsStruct("driver_vm_ops", fault=_fault)


def register_chrdev(k: Kernel, major: Any, name: Any, fops: CharDevice) -> int:
    """Give a driver a number and the name /dev/NAME; 0 or -errno. For number 0 it is a free one, which is the answer.

    Raises InputError for what is no CharDevice, and for what cannot be a file's name.
    Source: fs/char_dev.c __register_chrdev(), __register_chrdev_region(), find_dynamic_major()
    Differs: there is one minor number, and the node in /dev is there at once. The kernel's own drivers, some of which
        have numbers by then, are not modelled.
    """
    if not isinstance(fops, CharDevice):
        raise InputError(f"register_chrdev: {fops!r} is no CharDevice")
    if not isinstance(name, str) or not name.isprintable() or name in ("", ".", "..") or "/" in name:
        raise InputError(f"register_chrdev: {name!r} is no name of a file in /dev")
    if isinstance(major, bool) or not isinstance(major, int) or not 0 <= major < 1 << 32:
        raise InputError(f"register_chrdev: {major!r} is no number of 32 bits")
    room = processes(k)
    taken = {inode.i_rdev >> 20 for inode in room.inodes.values() if inode.i_mode & S_IFCHR}
    if major >= CHRDEV_MAJOR_MAX:
        printk(k, KERN_ERR, 'CHRDEV "{name}" major requested ({major}) is greater than the maximum ({most})',
               name=name, major=major, most=CHRDEV_MAJOR_MAX - 1, func="register_chrdev")
        return -EINVAL
    asked, major = major, major or next((number for number in _DYNAMIC if number not in taken), 0)
    if not major:
        printk(k, KERN_ERR, 'CHRDEV "{name}" dynamic allocation region is full', name=name, func="register_chrdev")
        return -EBUSY
    if major in taken or f"/dev/{name}" in room.inodes:
        return -EBUSY
    inode = room.inodes[f"/dev/{name}"] = Inode(0, S_IFCHR | 0o666, major << 20)
    inode.i_fop = fops  # type: ignore[attr-defined]
    step(k, "/dev/{name} is a character device, major number {major}", func="register_chrdev", name=name, major=major)
    return 0 if asked else major


def unregister_chrdev(k: Kernel, major: int, name: str) -> None:
    """Take a driver's name away; who has it open keeps it. Source: fs/char_dev.c __unregister_chrdev()"""
    inode = processes(k).inodes.get(f"/dev/{name}")
    if inode is not None and inode.i_rdev >> 20 == major:
        del processes(k).inodes[f"/dev/{name}"]


def chrdev_open(inode: Inode, path: str, writable: bool) -> File | int:
    """Open a device; -errno when its driver does not want to.

    Source: fs/char_dev.c chrdev_open()
    """
    fops: CharDevice = inode.i_fop  # type: ignore[attr-defined]
    file = File(path, inode, fops, FMODE_READ | FMODE_WRITE if writable else FMODE_READ)
    error: Any = fops.open(file) if fops.open is not None else 0
    if not isinstance(error, int):
        raise InputError(f"{type(fops).__name__}.open() answers {error!r}: expected 0 or -errno")
    return error or file
