"""Flags of a mapping, as vm_flags has them (include/linux/mm.h)."""

VM_READ = 0x1
VM_WRITE = 0x2
VM_EXEC = 0x4
VM_SHARED = 0x8
VM_MAYWRITE = 0x20
VM_MAYSHARE = 0x80
VM_GROWSDOWN = 0x100
VM_LOCKED = 0x2000
VM_DONTEXPAND = 0x40000
