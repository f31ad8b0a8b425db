# bootsim: vexpress.dts --mem 512M
"""A driver loses memory on one path of its probe function. Who still holds what?"""

from pathlib import Path


def probe(fails):
    ring = alloc_pages(GFP_KERNEL, 3)
    descriptors = alloc_pages(GFP_KERNEL, 0)
    if fails:
        __free_pages(ring, 3)  # and the descriptors are forgotten
        return None
    return ring, descriptors


def remove(device):
    ring, descriptors = device
    __free_pages(descriptors, 0)
    __free_pages(ring, 3)


def pages_in_use():
    """Of all zones: what is managed, and neither free nor on a per-cpu list."""
    free = sum(area["nr_free"] << order for z in k.zones for order, area in enumerate(z["free_area"]))
    cached = sum(pcp["count"] for z in k.zones for pcp in z["pcp"])
    return sum(z["managed"] for z in k.zones) - free - cached


before = pages_in_use()
for attempt in range(20):
    device = probe(fails=attempt % 4 == 3)
    if device is not None:
        remove(device)

# Five attempts failed: five pages are gone, and all come from one line.
lost = holders()
assert pages_in_use() - before == len(lost) == 5
assert {held.place.split()[-1] for held in lost} == {"probe"}
assert len({held.place for held in lost}) == 1
line = int(lost[0].place.split(":")[1].split()[0])
assert "descriptors = alloc_pages" in Path(__file__).read_text().splitlines()[line - 1]
# The frame tells the same.
assert "in probe" in kmem(lost[0].pfn << 12)

for held in lost:
    __free_pages(held.pfn, 0)
assert holders() == []
assert pages_in_use() == before
