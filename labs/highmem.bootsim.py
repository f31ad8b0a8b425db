# bootsim: vexpress.dts --mem 1G --config 3G/1G
"""When is there high memory, who takes it, and does vmalloc()'s mapping collide with the linear one?"""

import bootsim
from bootsim.linux.mm.vmalloc.alloc import vmalloc as vmalloc_of
from bootsim.linux.mm.vmalloc.tables import vmalloc_to_pfn as pfn_of

PAGE, MIB = 4096, 1 << 20


def zones(machine):
    return {zone["name"]: zone["present"] for zone in machine.zones if zone["present"]}


# RAM beyond the linear map is high memory: it has struct pages, and no address.
assert zones(k) == {"Normal": 768 * MIB // PAGE, "HighMem": 256 * MIB // PAGE}
assert k.page(k.mm.max_low_pfn).va is None

# Whether there is any depends on split and size; without CONFIG_HIGHMEM what does not fit is not used at all.
assert zones(bootsim.boot("vexpress.dts", config="3G/1G", mem="512M")).keys() == {"Normal"}
assert zones(bootsim.boot("vexpress.dts", config="2G/2G", mem="1G")).keys() == {"Normal"}
without = bootsim.boot("vexpress.dts", config="3G/1G-nohighmem", mem="1G")
assert zones(without) == {"Normal": 768 * MIB // PAGE}
assert "Ignoring RAM at 0x90000000-0xa0000000" in [record.text for record in without.log.records]
# A larger vmalloc area makes a smaller linear map: high memory by command line.
assert zones(bootsim.boot("vexpress.dts", config="3G/1G", mem="512M", cmdline="vmalloc=600M")).keys() == {"Normal",
                                                                                                         "HighMem"}


def zones_of(va, size):
    return {page_zone_name(vmalloc_to_pfn(va + at)) for at in range(0, size, PAGE)}


# vmalloc() and programs take high memory first, as they do not need its address. kmalloc() and page tables cannot.
va = vmalloc(MIB)
assert zones_of(va, MIB) == {"HighMem"}
p = process()
at = p.mmap(0, PAGE)
p.write(at, b"x")
assert page_zone_name(p.pfn(at)) == "HighMem"
assert page_zone_name(k.virt_to_phys(kmalloc(PAGE, GFP_KERNEL)) // PAGE) == "Normal"

# Where there is none, vmalloc() takes low pages, and they have two addresses: the linear one stays. Nothing collides,
# as the areas are apart; what is written at one is read at the other.
low = vmalloc_of(without, PAGE)
alias = without.phys_to_virt(pfn_of(without, low) * PAGE)
assert alias < without.mm.high_memory < low
without.machine.store(low, 0x600D)
assert without.machine.load(alias) == 0x600D
assert without.translate(low).pa == without.translate(alias).pa
# A high page in the vmalloc area has that address alone.
assert page_address(vmalloc_to_page(va)) == 0
