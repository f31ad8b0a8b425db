# bootsim: vexpress.dts --mem 512M --config 3G/1G
"""Where do modules lie, and why not with everything else that vmalloc() gives?"""

PAGE = 4096
MIB = 1 << 20
layout, text = k.mm.layout, k.build.symbols.text

# Below lowmem, where a branch instruction of the kernel's text reaches: 32 MiB to either side.
va = module_alloc(100 << 10)
assert va == layout.MODULES_VADDR == layout.PAGE_OFFSET - 16 * MIB
assert text - va < 32 * MIB
assert layout.VMALLOC_START - text > 32 * MIB

# It is vmalloc()'s memory, but may be executed.
assert k.translate(va, "execute")
assert not k.translate(vmalloc(PAGE), "execute")
assert page_zone_name(vmalloc_to_pfn(va)) == page_zone_name(vmalloc_to_pfn(vmalloc(PAGE)))

# 14 MiB is all there is: the last 2 MiB before lowmem are the windows of high memory.
assert layout.MODULES_END - layout.MODULES_VADDR == 14 * MIB
most = module_alloc(14 * MIB - (104 << 10) - PAGE)
assert most
# Full: with ARM_MODULE_PLTS a module goes to the vmalloc area, and jumps to the kernel by way of a table of its own.
assert k.build.config.ARM_MODULE_PLTS
assert module_alloc(MIB) >= layout.VMALLOC_START
vfree(most)
vm_unmap_aliases()
assert module_alloc(MIB) < layout.PAGE_OFFSET
