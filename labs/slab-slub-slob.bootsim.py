# bootsim: vexpress.dts --mem 256M
"""SLAB, SLUB and SLOB under one workload: how much memory each takes, gives back, and touches."""

import random
from itertools import pairwise

import bootsim

PAGE, LINE = 4096, 1 << k.build.config.ARM_L1_CACHE_SHIFT
SIZES = (72, 200, 616)
OBJECTS, BURST = 20000, 100


def pages_in_use(machine):
    """By the free lists: the counters of a zone lack what its processors have not added up yet."""
    machine.drain_all_pages()
    free = sum(area["nr_free"] << order for z in machine.k.zones for order, area in enumerate(z["free_area"]))
    return sum(z["managed"] for z in machine.k.zones) - free


def workload(machine):
    """Objects of three caches in random order; seven of eight freed at random; a burst of allocations after that."""
    rng = random.Random(1)
    caches = [machine.kmem_cache_create(f"of-{size}", size, 0, 0) for size in SIZES]
    start = pages_in_use(machine)
    live = [(s, machine.kmem_cache_alloc(s, GFP_KERNEL)) for s in rng.choices(caches, k=OBJECTS)]
    seen = {"counts": {s.object_size: sum(s is other for other, _ in live) for s in caches},
            "full": pages_in_use(machine) - start}
    rng.shuffle(live)
    gone = live[OBJECTS // 8:]
    for s, va in gone:
        machine.kmem_cache_free(s, va)
    one = machine.branch()  # what a burst finds; shrinking first would take SLAB's arrays away
    middle = one.cache(caches[1].name)
    seen["burst"] = [one.kmem_cache_alloc(middle, GFP_KERNEL) for _ in range(BURST)]
    seen["freed last"] = [va for s, va in gone if s is caches[1]][:-BURST - 1:-1]
    for s in caches:
        machine.kmem_cache_shrink(s)
    seen["left"] = pages_in_use(machine) - start
    return seen


def boot(allocator):
    return type(lab)(bootsim.boot("vexpress.dts", slab=allocator, mem="256M"), lab.show)


def slabinfo(machine):
    """Objects and pages of a slab, by the size of the objects, as /proc/slabinfo has them."""
    rows = [line.split() for line in machine.cat("/proc/slabinfo").splitlines() if line.startswith("of-")]
    return {int(row[3]): (int(row[4]), int(row[5])) for row in rows}


machines = {name: boot(name) for name in ("slab", "slub", "slob")}
seen = {name: workload(machine) for name, machine in machines.items()}
counts = seen["slub"]["counts"]
assert all(one["counts"] == counts for one in seen.values())
least = sum(size * count for size, count in counts.items()) / PAGE

# Memory. A slab holds objects of one size; what is left over at its end, and the last slab of each cache, are lost.
layout = {name: slabinfo(machines[name]) for name in ("slab", "slub")}
for name in ("slab", "slub"):
    for size, (objects, pages) in layout[name].items():
        assert objects == pages * PAGE // size  # nothing but objects: SLUB's free list lies in the free ones
    needed = sum(-(-counts[size] // objects) * pages for size, (objects, pages) in layout[name].items())
    # beyond that: a slab for each cache, for what SLAB's arrays took in advance
    assert needed <= seen[name]["full"] <= needed + sum(pages for _, pages in layout[name].values())
# SLUB takes slabs of several pages where one would waste more than a sixteenth of it; SLAB does so past an eighth.
for name, part in (("slab", 8), ("slub", 16)):
    objects, pages = layout[name][616]
    assert (pages * PAGE - objects * 616) * part <= pages * PAGE
assert layout["slub"][616][1] > layout["slab"][616][1] == 1
assert least < seen["slub"]["full"] < seen["slab"]["full"]
# SLOB fills its pages with objects of any size below 256, or below 1024: the sixth of 616 bytes ends a page for all.
assert least < seen["slob"]["full"] <= counts[616] / (PAGE // 616) + (counts[72] * 72 + counts[200] * 200) / PAGE * 1.1

# Fragmentation. A slab of n objects stays while one of them lives: of seven in eight freed, 1 - (7/8)^n stay.
for name in ("slab", "slub"):
    expected = sum(counts[size] / objects * (1 - (7 / 8) ** objects) * pages
                   for size, (objects, pages) in layout[name].items())
    assert abs(seen[name]["left"] - expected) < expected / 20
# That is why SLUB, whose slabs are larger, keeps most of what it had, and eight times what the objects need.
assert seen["slub"]["left"] > 0.9 * seen["slub"]["full"]
assert seen["slab"]["left"] < 0.7 * seen["slab"]["full"]
assert seen["slob"]["left"] < 0.7 * seen["slob"]["full"]
assert min(one["left"] for one in seen.values()) > 5 * least / 8

# Locality. SLAB hands out what was freed last, wherever that lies: it is in the processor's cache, but every object is
# in another page. SLUB empties the free list of one slab before it turns to the next.
touched = {name: len({va // PAGE for va in one["burst"]}) for name, one in seen.items()}
turns = {name: sum(a // PAGE != b // PAGE for a, b in pairwise(one["burst"])) for name, one in seen.items()}
assert seen["slab"]["burst"][:10] == seen["slab"]["freed last"][:10]
assert touched["slab"] > BURST // 2
objects = layout["slub"][200][0]
assert touched["slub"] == turns["slub"] + 1 <= -(-BURST // (objects // 2))
# SLOB searches page by page from where it found room last.
assert touched["slob"] == turns["slob"] + 1 < touched["slab"] / 4

# kmalloc(). SLAB and SLUB round up to a class; SLOB takes what is asked, and a cache line before it for the size.
requests = random.Random(2).choices((24, 60, 100, 130, 260, 500, 1000, 3000), k=4000)
for name, machine in machines.items():
    before = pages_in_use(machine)
    got = [machine.kmalloc(size, GFP_KERNEL) for size in requests]
    taken = (pages_in_use(machine) - before) * PAGE
    if name == "slob":
        needs = sum(-(-size // LINE) * LINE + LINE for size in requests)
        assert all(machine.ksize(va) == size for va, size in zip(got, requests, strict=True))
    else:
        needs = sum(machine.ksize(va) for va in got)
        assert needs == sum(min(c for c in (64, 128, 192, 256, 512, 1024, 4096) if c >= size) for size in requests)
    assert 0.9 * needs < taken < 1.1 * needs
