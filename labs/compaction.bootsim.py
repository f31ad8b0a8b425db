# bootsim: vexpress.dts --mem 256M --cmdline "cma=0"
"""What does compaction do, and what does it cost? Free memory in pieces becomes large blocks, page by page."""

from bootsim.linux.mm.migrate import page_holders

ORDER, ZONE, EVERY = 9, "Normal", 4
ASK = GFP_HIGHUSER_MOVABLE | __GFP_NOWARN | __GFP_NORETRY


class Owner:
    """Whoever maps a page: hears where it has gone."""

    def __init__(self, pfn):
        self.pfn, self.moves = pfn, 0

    def moved(self, old, new):
        """Its page went from one frame to another."""
        assert self.pfn == old
        self.pfn, self.moves = new, self.moves + 1


def events(machine):
    return {name: int(value) for name, value in map(str.split, machine.cat("/proc/vmstat").splitlines())}


def spent(machine, before):
    return {name: value - before[name] for name, value in events(machine).items() if value != before[name]}


def free_in(machine, smallest=0):
    """Free pages in blocks of this order or a larger one."""
    return sum(area["nr_free"] << order for z in machine.k.zones for order, area in enumerate(z["free_area"])
               if order >= smallest)


# All memory is taken by movable pages; three of four go, and the fourth stays with its owner.
taken = []
while (page := alloc_page(ASK)) is not None:
    taken.append(page.pfn)
owners = []
for i, pfn in enumerate(taken):
    if i % EVERY:
        __free_page(pfn)
    else:
        owners.append(Owner(pfn))
        page_holders(k).hold(pfn, owners[-1])
        k.machine.ram.write32(pfn << 12, pfn)
drain_all_pages()

# Three quarters are free, and yet there is hardly a large block: the index says that pieces are the reason.
free = free_in(lab)
assert free > len(taken) * 2 // 3
zone = [z["name"] for z in k.zones].index(ZONE)
assert free_in(lab, ORDER) == 0
assert free_in(lab, 4) < free / 20
assert fragmentation_index(zone, ORDER) > 900

# Compacted as /proc/sys/vm/compact_memory does it: the same pages are free, and now they lie together.
all_at_once = branch()
before = events(all_at_once)
moved = all_at_once.compact_memory()
all_at_once.drain_all_pages()
cost = spent(all_at_once, before)
assert free_in(all_at_once) == free
won = free_in(all_at_once, ORDER)
assert won > 0.9 * free  # but for where the scanners met, and where pages may not move

# The cost. Both scanners look at every page of the zones at most, each once; together they do not pass one another.
everything = sum(z["spanned"] for z in k.zones)
assert cost["compact_migrate_scanned"] + cost["compact_free_scanned"] <= everything
# Each page that moves is taken, and a free one for it; each is copied, four kilobytes, and its owner is told.
assert cost["pgmigrate_success"] == moved
assert cost["compact_isolated"] >= 2 * moved
# Memory of which a quarter was in use costs the move of that quarter. The other owners stay: theirs is where pages go.
assert abs(moved - won / EVERY) < won / EVERY / 10
assert moved < len(owners)

# Nobody noticed: every owner's page has the content that it had.
held = page_holders(all_at_once.k)
assert len(held) == len(owners)
contents = {all_at_once.k.machine.ram.read32(held.holder(pfn).pfn << 12) for pfn in range(k.mm.max_pfn)
            if held.holds(pfn)}
assert contents == {owner.pfn for owner in owners}

# Direct compaction: who asks for a large block waits for it (a stall), and pays for one block, not for all.
before = events(lab)
block = alloc_pages(GFP_HIGHUSER_MOVABLE | __GFP_NOWARN, ORDER)
one = spent(lab, before)
assert block is not None
assert one["compact_stall"] == one["compact_success"] >= 1
assert 0 < one["pgmigrate_success"] < moved / 4
assert one["compact_migrate_scanned"] < cost["compact_migrate_scanned"]

# What may not move stands in the way. Pages without an owner that could be told are such: one in a pageblock is enough.
stuck = branch()
for owner_pfn in [pfn for pfn in range(k.mm.max_pfn) if page_holders(stuck.k).holds(pfn)]:
    page_holders(stuck.k).let_go(owner_pfn)
before, large = events(stuck), free_in(stuck, ORDER)
assert stuck.compact_memory() == 0
looked = spent(stuck, before)
assert "pgmigrate_success" not in looked
assert looked["compact_migrate_scanned"] > 0  # it looked at all of them for nothing
assert free_in(stuck, ORDER) == large
