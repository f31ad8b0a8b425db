/* What bench_plain.py holds the replay against: the fast paths of Linux's page allocator and of a slab allocator, written
 * plainly in C, with pointers. Requests with flags that choose zones and type, watermarks, per-cpu lists in batches and
 * per-cpu counters, buddies, checks of pages as they come and go; objects with their free pointer inside, a slab of the
 * processor's own and some more that it keeps, a list of partial slabs. Nothing of what is done when memory gets short. */
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

enum { ORDERS = 11, TYPES = 3, BATCH = 63, HIGH = 378, PAGE = 4096, BUDDY = 1, BAD = 0x3ffe, THRESHOLD = 32,
       ZONES = 2, GFP_HIGH = 2, GFP_ZERO = 0x100, UNUSED = -1 };

struct list { struct list *next, *prev; };

struct page {
	uint32_t flags, order, type, index;
	int32_t refcount, mapcount;
	void *mapping;
	struct list lru;
	void *freelist;			/* of a slab */
	uint32_t inuse, frozen, slabs, free_objects;
	struct page *next_slab;
};

struct zone {
	uint32_t start, end, index;
	struct { struct list lists[TYPES]; uint64_t count; } area[ORDERS];
	struct { struct list lists[TYPES]; int count, diff; } pcp;
	int64_t nr_free, watermark, boost, highatomic, reserve[ZONES];
};

static struct page *map;
static uint32_t pages;
static uint8_t *blocks;			/* the type of each block of the largest order */
static struct zone zones[ZONES], *zonelist[ZONES];	/* the highest first */
static int64_t allocs[ZONES], frees;

static void init(struct list *head) { head->next = head->prev = head; }
static int empty(const struct list *head) { return head->next == head; }

static void add(struct list *item, struct list *head)
{
	item->next = head->next;
	item->prev = head;
	head->next->prev = item;
	head->next = item;
}

static void add_tail(struct list *item, struct list *head) { add(item, head->prev); }

static void del(struct list *item)
{
	item->next->prev = item->prev;
	item->prev->next = item->next;
}

static struct page *page_of(struct list *item) { return (struct page *)((char *)item - offsetof(struct page, lru)); }
static uint32_t type_of(uint32_t pfn) { return blocks[pfn >> (ORDERS - 1)]; }
static struct zone *zone_of(uint32_t pfn) { return &zones[pfn >= zones[1].start]; }

static void count_free(struct zone *zone, int change)
{
	int sum = zone->pcp.diff + change;
	if (sum > THRESHOLD || sum < -THRESHOLD) {
		zone->nr_free += sum;
		sum = 0;
	}
	zone->pcp.diff = sum;
}

static void put_block(struct zone *zone, uint32_t pfn, uint32_t order, uint32_t type)
{
	uint32_t asked = order;
	while (order < ORDERS - 1) {
		uint32_t buddy = pfn ^ (1u << order);
		if (buddy - zone->start >= zone->end - zone->start || !(map[buddy].flags & BUDDY) || map[buddy].order != order)
			break;
		del(&map[buddy].lru);
		map[buddy].flags &= ~BUDDY;
		zone->area[order].count--;
		pfn &= buddy;
		order++;
	}
	map[pfn].flags |= BUDDY;
	map[pfn].order = order;
	add(&map[pfn].lru, &zone->area[order].lists[type]);
	zone->area[order].count++;
	count_free(zone, 1 << asked);
}

static uint32_t take_block(struct zone *zone, uint32_t order, uint32_t type)
{
	for (uint32_t at = order; at < ORDERS; at++) {
		if (empty(&zone->area[at].lists[type]))
			continue;
		struct page *page = page_of(zone->area[at].lists[type].next);
		uint32_t pfn = page - map;
		del(&page->lru);
		page->flags &= ~BUDDY;
		zone->area[at].count--;
		while (at > order) {
			at--;
			struct page *half = page + (1u << at);
			half->flags |= BUDDY;
			half->order = at;
			add(&half->lru, &zone->area[at].lists[type]);
			zone->area[at].count++;
		}
		return pfn;
	}
	return UNUSED;
}

static int bad(const struct page *page)
{
	return page->mapcount != -1 || page->mapping || page->refcount || (page->flags & BAD);
}

static int enough(const struct zone *zone, uint32_t order, uint32_t highest)
{
	int64_t free = zone->nr_free - ((1 << order) - 1) - zone->highatomic;
	if (free <= zone->watermark + zone->boost + zone->reserve[highest])
		return 0;
	if (!order)
		return 1;
	for (uint32_t at = order; at < ORDERS; at++)
		if (zone->area[at].count)
			for (uint32_t type = 0; type < TYPES; type++)
				if (!empty(&zone->area[at].lists[type]))
					return 1;
	return 0;
}

static uint32_t take(struct zone *zone, uint32_t order, uint32_t type)
{
	uint32_t pfn;
	if (order) {
		pfn = take_block(zone, order, type);
		if (pfn == (uint32_t)UNUSED)
			return UNUSED;
		for (uint32_t i = 0; i < 1u << order; i++)
			if (bad(&map[pfn + i]))
				return UNUSED;
		count_free(zone, -(1 << order));
		return pfn;
	}
	if (empty(&zone->pcp.lists[type])) {
		int got = 0;
		for (; got < BATCH && (pfn = take_block(zone, 0, type)) != (uint32_t)UNUSED; got++)
			if (!bad(&map[pfn]))
				add_tail(&map[pfn].lru, &zone->pcp.lists[type]);
		zone->pcp.count += got;
		count_free(zone, -got);
		if (!got)
			return UNUSED;
	}
	struct page *page = page_of(zone->pcp.lists[type].next);
	del(&page->lru);
	zone->pcp.count--;
	return page - map;
}

static __attribute__((noinline)) uint32_t alloc_pages(uint32_t gfp, uint32_t order)
{
	uint32_t highest = gfp & GFP_HIGH ? 1 : 0, type = gfp >> 3 & 3;
	for (int i = 0; i < ZONES; i++) {
		struct zone *zone = zonelist[i];
		if (zone->index > highest || !enough(zone, order, highest))
			continue;
		uint32_t pfn = take(zone, order, type);
		if (pfn == (uint32_t)UNUSED)
			continue;
		allocs[zone->index] += 1 << order;
		map[pfn].order = 0;
		map[pfn].refcount = 1;
		map[pfn].index = 0;
		return pfn;
	}
	return UNUSED;
}

static __attribute__((noinline)) void free_pages(uint32_t pfn, uint32_t order)
{
	if (--map[pfn].refcount)
		return;
	for (uint32_t i = 0; i < 1u << order; i++) {
		if (bad(&map[pfn + i]))
			return;
		map[pfn + i].flags &= ~BAD;
	}
	frees += 1 << order;
	struct zone *zone = zone_of(pfn);
	uint32_t type = map[pfn].type = type_of(pfn);
	if (order) {
		put_block(zone, pfn, order, type);
		return;
	}
	add(&map[pfn].lru, &zone->pcp.lists[type]);
	if (++zone->pcp.count < HIGH)
		return;
	for (int left = BATCH; left; ) {
		for (uint32_t t = 0; t < TYPES && left; t++) {
			if (empty(&zone->pcp.lists[t]))
				continue;
			struct page *page = page_of(zone->pcp.lists[t].prev);
			del(&page->lru);
			zone->pcp.count--;
			left--;
			put_block(zone, page - map, 0, page->type);
		}
	}
}

void start(uint32_t low, uint32_t high)
{
	uint32_t ends[ZONES] = {low, low + high}, begin = 0;
	pages = low + high;		/* both a multiple of the largest block */
	map = calloc(pages, sizeof(*map));
	blocks = calloc(pages >> (ORDERS - 1), 1);
	for (uint32_t pfn = 0; pfn < pages; pfn++)
		map[pfn].mapcount = -1;
	for (uint32_t i = 0; i < ZONES; begin = ends[i++]) {
		struct zone *zone = zonelist[ZONES - 1 - i] = &zones[i];
		zone->index = i;
		zone->start = begin;
		zone->end = ends[i];
		zone->watermark = (ends[i] - begin) / 200;
		for (uint32_t type = 0; type < TYPES; type++) {
			init(&zone->pcp.lists[type]);
			for (uint32_t order = 0; order < ORDERS; order++)
				init(&zone->area[order].lists[type]);
		}
		for (uint32_t pfn = begin; pfn < ends[i]; pfn += 1u << (ORDERS - 1))
			put_block(zone, pfn, ORDERS - 1, 0);
	}
}

uint32_t pairs(uint32_t count, uint32_t order)
{
	uint32_t got = 0;
	for (uint32_t i = 0; i < count; i++) {
		uint32_t pfn = alloc_pages(0, order);
		if (pfn != (uint32_t)UNUSED) {
			got++;
			free_pages(pfn, order);
		}
	}
	return got;
}

static uint64_t next(uint64_t x)
{
	x ^= x << 13;
	x ^= x >> 7;
	return x ^ x << 17;
}

uint32_t mixed(uint32_t count, uint32_t orders)
{
	uint32_t pfns[1024], held[1024] = {0}, got = 0;
	uint64_t x = 88172645463325252u;
	for (int i = 0; i < 1024; i++)
		pfns[i] = UNUSED;
	for (uint32_t i = 0; i < count + 1024; i++) {
		x = next(x);
		uint32_t slot = i < count ? x & 1023 : i - count;
		if (pfns[slot] != (uint32_t)UNUSED) {
			free_pages(pfns[slot], held[slot]);
			pfns[slot] = UNUSED;
		}
		if (i < count) {
			held[slot] = (x >> 20) % orders;
			pfns[slot] = alloc_pages(0, held[slot]);
			got += pfns[slot] != (uint32_t)UNUSED;
		}
	}
	return got;
}

/* ---------------------------------------------------------------- objects */

enum { CPU_PARTIAL = 30, MIN_PARTIAL = 5 };	/* of a cache of 128 bytes */

struct cache {
	uint32_t size, objects, offset, tid;
	void *freelist;			/* of `slab`, which is this processor's */
	struct page *slab, *mine;	/* and other slabs of its own, each with the next */
	struct list partial;		/* nobody's, with free objects */
	uint32_t nr_partial;
};

static char *memory;
static struct cache cache;

void start_objects(uint32_t size)
{
	memory = aligned_alloc(PAGE, (size_t)pages * PAGE);
	cache = (struct cache){.size = size, .objects = PAGE / size, .offset = size / 2 & ~7u};
	init(&cache.partial);
}

static void **link_of(const struct cache *s, void *object) { return (void **)((char *)object + s->offset); }

static void slab_to_node(struct cache *s, struct page *page)
{
	page->frozen = 0;
	if (!page->inuse && s->nr_partial >= MIN_PARTIAL) {
		page->freelist = NULL;
		free_pages(page - map, 0);
		return;
	}
	add_tail(&page->lru, &s->partial);
	s->nr_partial++;
}

static void keep_slab(struct cache *s, struct page *page, int drain)
{
	struct page *old = s->mine;
	if (old && drain && old->free_objects > CPU_PARTIAL) {
		for (struct page *next; old; old = next) {
			next = old->next_slab;
			slab_to_node(s, old);
		}
	}
	page->slabs = (old ? old->slabs : 0) + 1;
	page->free_objects = (old ? old->free_objects : 0) + s->objects - page->inuse;
	page->next_slab = old;
	s->mine = page;
}

static void *take_all(struct cache *s, struct page *page)
{
	void *object = page->freelist;
	page->freelist = NULL;
	page->inuse = s->objects;
	page->frozen = 1;
	s->slab = page;
	return object;
}

static void *slab_of_node(struct cache *s)
{
	void *object = NULL;
	uint32_t available = 0;
	while (!empty(&s->partial) && available <= CPU_PARTIAL / 2) {
		struct page *page = page_of(s->partial.next);
		del(&page->lru);
		s->nr_partial--;
		available += s->objects - page->inuse;
		if (!object) {
			object = take_all(s, page);
		} else {
			page->frozen = 1;
			keep_slab(s, page, 0);
		}
	}
	return object;
}

static void *alloc_slow(struct cache *s, uint32_t gfp)
{
	void *object = NULL;
	struct page *page = s->slab;
	while (page && !(object = take_all(s, page))) {	/* what was freed to it meanwhile */
		page->frozen = 0;
		s->slab = NULL;
		page = s->mine;
		if (page)
			s->mine = page->next_slab;
	}
	if (!object)
		object = slab_of_node(s);
	if (!object) {
		uint32_t pfn = alloc_pages(gfp, 0);
		if (pfn == (uint32_t)UNUSED)
			return NULL;
		page = &map[pfn];
		char *next = memory + (size_t)pfn * PAGE;
		page->freelist = next;
		for (uint32_t i = 1; i < s->objects; i++, next += s->size)
			*link_of(s, next) = next + s->size;
		*link_of(s, next) = NULL;
		object = take_all(s, page);
	}
	s->freelist = *link_of(s, object);
	return object;
}

static __attribute__((noinline)) void *alloc_object(struct cache *s, uint32_t gfp)
{
	void *object = s->freelist;
	if (object)
		s->freelist = *link_of(s, object);
	else
		object = alloc_slow(s, gfp);
	s->tid++;
	if (gfp & GFP_ZERO && object)
		memset(object, 0, s->size);
	return object;
}

static __attribute__((noinline)) void free_object(struct cache *s, void *object)
{
	struct page *page = &map[((char *)object - memory) / PAGE];
	void **link = link_of(s, object);
	s->tid++;
	if (page == s->slab) {
		*link = s->freelist;
		s->freelist = object;
		return;
	}
	void *prior = page->freelist;
	*link = prior;
	page->freelist = object;
	page->inuse--;
	if (!prior && !page->frozen) {
		page->frozen = 1;
		keep_slab(s, page, 1);
	} else if (!page->inuse && !page->frozen && s->nr_partial >= MIN_PARTIAL) {
		del(&page->lru);
		s->nr_partial--;
		page->freelist = NULL;
		free_pages(page - map, 0);
	}
}

uint32_t object_pairs(uint32_t count)
{
	uint32_t got = 0;
	for (uint32_t i = 0; i < count; i++) {
		void *object = alloc_object(&cache, 0);
		if (object) {
			got++;
			free_object(&cache, object);
		}
	}
	return got;
}

uint32_t object_mixed(uint32_t count)
{
	static void *held[1024];
	uint64_t x = 88172645463325252u;
	uint32_t got = 0;
	for (uint32_t i = 0; i < count + 1024; i++) {
		x = next(x);
		uint32_t slot = i < count ? x & 1023 : i - count;
		if (held[slot]) {
			free_object(&cache, held[slot]);
			held[slot] = NULL;
		}
		if (i < count) {
			held[slot] = alloc_object(&cache, 0);
			got += held[slot] != NULL;
		}
	}
	return got;
}
