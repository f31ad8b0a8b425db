/* The functions of mm/percpu.c that work on one chunk, as the test takes them out of the kernel's source. */
#include "host.h"

#define PCPU_MIN_ALLOC_SIZE 4
#define PCPU_BITMAP_BLOCK_BITS 1024
#define BITS_PER_LONG 64
#define lockdep_assert_held(x) do { } while (0)
#define pcpu_stats_area_dealloc(x) do { } while (0)
#undef min
#undef min_t
#undef ALIGN
#define min(a, b) ((a) < (b) ? (a) : (b))
#define min_t(t, a, b) min((t)(a), (t)(b))
#define __ALIGN_MASK(x, mask) (((x) + (mask)) & ~(mask))
#define ALIGN(x, a) __ALIGN_MASK(x, (typeof(x))(a) - 1)
#define lcm(a, b) (a)
#define __ffs(x) __builtin_ctzl(x)

/* linux/percpu-internal.h */
struct pcpu_block_md {
	int scan_hint, scan_hint_start, contig_hint, contig_hint_start, left_free, right_free, first_free, nr_bits;
};
struct pcpu_chunk {
	int free_bytes, nr_pages, nr_empty_pop_pages;
	struct pcpu_block_md chunk_md, md_blocks[64];
	unsigned long alloc_map[1024], bound_map[1025];
};
static int pcpu_chunk_nr_blocks(struct pcpu_chunk *chunk) { return chunk->nr_pages; }
static int pcpu_chunk_map_bits(struct pcpu_chunk *chunk) { return chunk->nr_pages * PCPU_BITMAP_BLOCK_BITS; }
static int pcpu_chunk_slot(const struct pcpu_chunk *chunk) { return 0; }
static void pcpu_chunk_relocate(struct pcpu_chunk *chunk, int oslot) { }
static void pcpu_update_empty_pages(struct pcpu_chunk *chunk, int nr) { chunk->nr_empty_pop_pages += nr; }
static bool pcpu_is_populated(struct pcpu_chunk *chunk, int bit_off, int bits, int *next) { return true; }

/* linux/bitmap.h, bit by bit */
static int test_bit(unsigned long n, const unsigned long *map) { return map[n / 64] >> n % 64 & 1; }
static void set_bit(unsigned long n, unsigned long *map) { map[n / 64] |= 1ul << n % 64; }
static void bitmap_set(unsigned long *map, int start, int n) { while (n-- > 0) set_bit(start++, map); }
static void bitmap_clear(unsigned long *map, int start, int n)
{
	for (; n-- > 0; start++)
		map[start / 64] &= ~(1ul << start % 64);
}
static unsigned long find_next_bit(const unsigned long *map, unsigned long size, unsigned long at)
{
	while (at < size && !test_bit(at, map))
		at++;
	return min(at, size);
}
static unsigned long find_next_zero_bit(const unsigned long *map, unsigned long size, unsigned long at)
{
	while (at < size && test_bit(at, map))
		at++;
	return min(at, size);
}
static unsigned long find_last_bit(const unsigned long *map, unsigned long size)
{
	unsigned long at = size;

	while (at-- > 0)
		if (test_bit(at, map))
			return at;
	return size;
}
#define bitmap_for_each_clear_region(map, rs, re, start, end)					\
	for ((rs) = find_next_zero_bit(map, end, start), (re) = find_next_bit(map, end, (rs) + 1);	\
	     (rs) < (end);										\
	     (rs) = find_next_zero_bit(map, end, (re) + 1), (re) = find_next_bit(map, end, (rs) + 1))

#include "percpu-functions.h"

static struct pcpu_chunk host_chunk;

void host_begin(int start_offset, int map_size)
{
	struct pcpu_chunk *chunk = &host_chunk;
	int end_offset, hidden;

	memset(chunk, 0, sizeof(*chunk));
	chunk->nr_pages = (start_offset + map_size + 4095) / 4096;
	end_offset = chunk->nr_pages * 4096 - start_offset - map_size;
	chunk->nr_empty_pop_pages = chunk->nr_pages;
	chunk->free_bytes = map_size;
	pcpu_init_md_blocks(chunk);
	hidden = start_offset / 4;
	if (hidden) {
		bitmap_set(chunk->alloc_map, 0, hidden);
		set_bit(0, chunk->bound_map);
		set_bit(hidden, chunk->bound_map);
		chunk->chunk_md.first_free = hidden;
		pcpu_block_update_hint_alloc(chunk, 0, hidden);
	}
	hidden = end_offset / 4;
	if (hidden) {
		bitmap_set(chunk->alloc_map, pcpu_chunk_map_bits(chunk) - hidden, hidden);
		set_bit((start_offset + map_size) / 4, chunk->bound_map);
		set_bit(pcpu_chunk_map_bits(chunk), chunk->bound_map);
		pcpu_block_update_hint_alloc(chunk, pcpu_chunk_map_bits(chunk) - hidden, hidden);
	}
}

int host_alloc(int bits, int align)
{
	int off = pcpu_find_block_fit(&host_chunk, bits, align, false);

	return off < 0 ? -2 : pcpu_alloc_area(&host_chunk, bits, align, off);
}

int host_free(int off) { return pcpu_free_area(&host_chunk, off); }

/* Eight numbers of a block; -1 is the whole chunk. */
void host_block(int index, int *out)
{
	memcpy(out, index < 0 ? &host_chunk.chunk_md : &host_chunk.md_blocks[index], sizeof(struct pcpu_block_md));
}

int host_empty_pages(void) { return host_chunk.nr_empty_pop_pages; }
int host_free_bytes(void) { return host_chunk.free_bytes; }
