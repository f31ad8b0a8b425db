/* The kernel's own mm/memblock.c, with ways to set it back and to read its static state. */
#include "mm-memblock.c"

#include <sys/mman.h>

char *arena;
unsigned long min_low_pfn, max_low_pfn, max_pfn;
unsigned long long max_possible_pfn;

static void fresh(struct memblock_type *type, struct memblock_region *regions, int max)
{
	memset(regions, 0, max * sizeof(*regions));
	type->regions = regions;
	type->cnt = 1;
	type->max = max;
	type->total_size = 0;
}

/* Everything as the image has it; physical memory reads as zero. Returns 0, or -1 without memory. */
int host_reset(void)
{
	if (arena)
		munmap(arena, 1UL << 32);
	arena = mmap(NULL, 1UL << 32, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (arena == MAP_FAILED) {
		arena = NULL;
		return -1;
	}
	fresh(&memblock.memory, memblock_memory_init_regions, INIT_MEMBLOCK_REGIONS);
	fresh(&memblock.reserved, memblock_reserved_init_regions, INIT_MEMBLOCK_RESERVED_REGIONS);
	memblock.bottom_up = false;
	memblock.current_limit = MEMBLOCK_ALLOC_ANYWHERE;
	memblock_can_resize = 0;
	memblock_memory_in_slab = memblock_reserved_in_slab = 0;
	return 0;
}

void host_bottom_up(int on) { memblock.bottom_up = on; }
unsigned long host_max(int reserved) { return reserved ? memblock.reserved.max : memblock.memory.max; }
u32 host_total(int reserved) { return reserved ? memblock.reserved.total_size : memblock.memory.total_size; }

/* Writes base, size and flags of each region to `out`; returns their number. */
int host_regions(int reserved, u32 *out)
{
	struct memblock_type *type = reserved ? &memblock.reserved : &memblock.memory;
	unsigned long i;

	for (i = 0; i < type->cnt; i++) {
		*out++ = type->regions[i].base;
		*out++ = type->regions[i].size;
		*out++ = type->regions[i].flags;
	}
	return type->cnt;
}

u32 host_alloc(u32 size, u32 align, u32 min_addr, u32 max_addr)
{
	void *found = memblock_alloc_try_nid(size, align, min_addr, max_addr, NUMA_NO_NODE);

	return found ? __pa(found) : 0;
}

u32 host_find(u32 start, u32 end, u32 size, u32 align)
{
	return memblock_find_in_range(start, end, size, align);
}
