# bootsim: vexpress.dts --mem 256M --config 3G/1G
"""Where do low and high memory part? 256 MiB, 512 MiB and 1 GiB, with 2 GiB and with 3 GiB for programs."""

import bootsim

MIB = 1 << 20
rows = {}
for split in ("2G/2G", "3G/1G"):
    for mem in (256, 512, 1024):
        other = bootsim.boot("vexpress.dts", config=split, mem=f"{mem}M")
        low = (other.mm.max_low_pfn << 12) - other.mm.phys_offset
        rows[split, mem] = low // MIB, mem - low // MIB, (0xFF800000 - other.mm.layout.VMALLOC_START) // MIB

print("split   RAM   low  high  vmalloc")
for (split, mem), (low, high, area) in rows.items():
    print(f"{split}  {mem:4d}  {low:4d}  {high:4d}  {area:7d}")

# With 3 GiB for programs the kernel has 1 GiB of addresses. 240 MiB of them are kept for vmalloc() and ioremap(), and
# 16 MiB at the end for the fixmap and vectors: 768 MiB are left for the linear map.
assert rows["3G/1G", 1024][:2] == (768, 256)
assert rows["3G/1G", 512][:2] == (512, 0)
# With 2 GiB for the kernel 1 GiB of RAM is low as a whole.
assert all(high == 0 for (split, _), (_, high, _) in rows.items() if split == "2G/2G")
# What the linear map does not need, the vmalloc area gets, less a hole of 8 MiB.
for (split, _), (low, _, area) in rows.items():
    assert low + area + 8 == (2040 if split == "2G/2G" else 1016)
