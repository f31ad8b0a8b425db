"""Kernel virtual memory beside the linear mapping (mm/vmalloc.c).

One C file, in parts; a boot needs the first alone:

    early      areas taken before there is an allocator of them
    areas      which addresses are taken, free, or wait to be free
    area       struct vm_struct: an area with what lies there
    tables     pages mapped at such addresses
    alloc      vmalloc(), vmap()
    block      vm_map_ram()
"""

from bootsim.linux.mm.vmalloc.early import VM_IOREMAP, VmStruct, vm_area_add_early

__all__ = ["VM_IOREMAP", "VmStruct", "vm_area_add_early"]
