/* The functions of mm/swapfile.c and mm/swap_slots.c that find, count and free slots, as the test takes them out of the
 * kernel's source. One node; two processors; no discarding, no huge pages. */
#include "host.h"

#define SWAPFILE_CLUSTER 256
#define LATENCY_LIMIT 256
#define SWAP_BATCH 64
#define SWAP_SLOTS_CACHE_SIZE SWAP_BATCH
#define THRESHOLD_ACTIVATE_SWAP_SLOTS_CACHE (5 * SWAP_SLOTS_CACHE_SIZE)
#define THRESHOLD_DEACTIVATE_SWAP_SLOTS_CACHE (2 * SWAP_SLOTS_CACHE_SIZE)
#define SLOTS_CACHE 0x1
#define SLOTS_CACHE_RET 0x2
#define SWAP_ADDRESS_SPACE_SHIFT 14
#define SWAP_ADDRESS_SPACE_PAGES (1 << 14)
#define SWAP_CLUSTER_COLS 64
#define CLUSTER_FLAG_FREE 1
#define CLUSTER_FLAG_NEXT_NULL 2
#define CLUSTER_FLAG_HUGE 4
#define SWAP_HAS_CACHE 0x40
#define COUNT_CONTINUED 0x80
#define SWAP_MAP_MAX 0x3e
#define SWAP_MAP_BAD 0x3f
#define SWAP_MAP_SHMEM 0xbf
#define SWAP_CONT_MAX 0x7f
#define TTRS_ANYWAY 1
enum { SWP_USED = 1, SWP_WRITEOK = 2, SWP_SOLIDSTATE = 16, SWP_CONTINUED = 32, SWP_BLKDEV = 64,
       SWP_PAGE_DISCARD = 1 << 10, SWP_VALID = 1 << 13, SWP_SCANNING = 1 << 14 };
enum { GFP_ATOMIC, __GFP_HIGHMEM, SINGLE_DEPTH_NESTING };
#define SWP_OFFSET_MASK ((1u << 26) - 1)

#undef min_t
#undef max_t
#undef round_up
#undef DIV_ROUND_UP
#undef ALIGN_DOWN
#define min_t(t, a, b) ((t)(a) < (t)(b) ? (t)(a) : (t)(b))
#define max_t(t, a, b) ((t)(a) > (t)(b) ? (t)(a) : (t)(b))
#define min3(a, b, c) min_t(long, min_t(long, a, b), c)
#define round_up(x, y) (((x) + (y) - 1) / (y) * (y))
#define DIV_ROUND_UP(x, y) (((x) + (y) - 1) / (y))
#define ALIGN_DOWN(x, a) ((x) / (a) * (a))
#define data_race(x) (x)
#undef WRITE_ONCE
#define WRITE_ONCE(x, v) ((x) = (v))
#define smp_rmb() do { } while (0)
#undef VM_BUG_ON
#define VM_BUG_ON(x) BUG_ON(x)
#undef WARN_ON
#undef WARN_ON_ONCE
#undef WARN
#define WARN_ON(x) BUG_ON(x)
#define WARN_ON_ONCE(x) BUG_ON(x)
#define WARN(x, ...) BUG_ON(x)
#undef pr_err
#undef pr_debug
#undef pr_warn
#define pr_err(...) do { } while (0)
#define pr_debug(...) do { } while (0)
#define pr_warn(...) do { } while (0)
#define cond_resched() do { } while (0)
#define spin_lock(x) do { } while (0)
#define spin_unlock(x) do { } while (0)
#define spin_lock_irq(x) do { } while (0)
#define spin_unlock_irq(x) do { } while (0)
#define spin_lock_nested(x, y) do { } while (0)
#define assert_spin_locked(x) do { } while (0)
#define mutex_lock(x) do { } while (0)
#define mutex_unlock(x) do { } while (0)
#define rcu_read_lock() do { } while (0)
#define rcu_read_unlock() do { } while (0)
#define for_each_node(n) for ((n) = 0; (n) < 1; (n)++)
#define numa_node_id() 0
#define prandom_u32_max(x) 0
#define arch_swap_invalidate_page(t, o) do { } while (0)
#define frontswap_invalidate_page(t, o) do { } while (0)
#define clear_shadow_from_swap_cache(t, b, e) do { } while (0)
#define mem_cgroup_uncharge_swap(e, n) do { } while (0)
#define mem_cgroup_try_charge_swap(p, e) 0
#define swap_entry_size(x) 1
#define thp_nr_pages(p) 1
#define HPAGE_PMD_NR 1
#define PageTransHuge(p) 0
#define swap_alloc_cluster(si, e) 0
#define swap_free_cluster(si, i) do { } while (0)
#define swap_do_scheduled_discard(si) do { } while (0)
#define swap_cluster_schedule_discard(si, i) abort()
#define kvfree(x) do { } while (0)
#define num_online_cpus() 2
#define for_each_online_cpu(c) for ((c) = 0; (c) < 2; (c)++)
#define kmap_atomic(p) ((p)->data)
#define kunmap_atomic(p) do { } while (0)
#define put_swap_device(p) do { } while (0)

typedef unsigned long pgoff_t;
typedef u64 sector_t;
typedef long atomic_long_t;
typedef struct { unsigned int val; } swp_entry_t;
#define atomic_long_read(p) (*(p))
#define atomic_long_add(n, p) (*(p) += (n))
#define atomic_long_sub(n, p) (*(p) -= (n))

/* linux/list.h, linux/plist.h */
struct list_head { struct list_head *next, *prev; };
static void INIT_LIST_HEAD(struct list_head *l) { l->next = l->prev = l; }
static bool list_empty(const struct list_head *l) { return l->next == l; }
static void list_add(struct list_head *n, struct list_head *h)
{
	n->next = h->next, n->prev = h;
	h->next->prev = n, h->next = n;
}
static void list_add_tail(struct list_head *n, struct list_head *h) { list_add(n, h->prev); }
static void list_del_init(struct list_head *n)
{
	n->next->prev = n->prev, n->prev->next = n->next;
	INIT_LIST_HEAD(n);
}
#undef container_of
#define container_of(p, t, m) ((t *)((char *)(p) - offsetof(t, m)))
#define list_entry(p, t, m) container_of(p, t, m)
#define list_next_entry(p, m) list_entry((p)->m.next, typeof(*(p)), m)
#define list_prev_entry(p, m) list_entry((p)->m.prev, typeof(*(p)), m)
#define list_for_each_entry(p, h, m) \
	for (p = list_entry((h)->next, typeof(*p), m); &p->m != (h); p = list_next_entry(p, m))
struct plist_head { struct list_head node_list; };
struct plist_node { int prio; struct list_head prio_list, node_list; };
static bool plist_head_empty(struct plist_head *h) { return list_empty(&h->node_list); }
static bool plist_node_empty(struct plist_node *n) { return list_empty(&n->node_list); }
#define plist_first(h) list_entry((h)->node_list.next, struct plist_node, node_list)
#define plist_last(h) list_entry((h)->node_list.prev, struct plist_node, node_list)
#define plist_next(p) list_next_entry(p, node_list)
#define plist_check_head(h) do { } while (0)
#define plist_for_each_continue(p, h) \
	for (p = plist_next(p); &p->node_list != &(h)->node_list; p = plist_next(p))
#define plist_for_each_entry_safe(p, n, h, m) \
	for (p = list_entry((h)->node_list.next, typeof(*p), m.node_list), n = list_next_entry(p, m.node_list); \
	     &p->m.node_list != &(h)->node_list; p = n, n = list_next_entry(n, m.node_list))

/* linux/swap.h */
struct page { unsigned long private; struct list_head lru; unsigned char data[4096]; };
#define page_private(p) ((p)->private)
#define set_page_private(p, v) ((p)->private = (v))
struct gendisk { struct { void (*swap_slot_free_notify)(void *, unsigned long); } *fops; };
struct block_device { struct gendisk *bd_disk; };
struct swap_cluster_info { unsigned int data : 24, flags : 8; };
struct percpu_cluster { struct swap_cluster_info index; unsigned int next; };
struct swap_cluster_list { struct swap_cluster_info head, tail; };
struct swap_info_struct {
	unsigned long flags;
	short prio;
	struct plist_node list;
	signed char type;
	unsigned int max, lowest_bit, highest_bit, pages, inuse_pages, cluster_next, cluster_nr;
	unsigned char *swap_map;
	struct swap_cluster_info *cluster_info;
	struct swap_cluster_list free_clusters, discard_clusters;
	unsigned int *cluster_next_cpu;
	struct percpu_cluster *percpu_cluster;
	struct block_device *bdev;
	struct plist_node avail_lists[1];
	struct page *host_heads;
	unsigned char *host_cached;
};
union swap_header { struct { u32 last_page, nr_badpages, badpages[1]; } info; };
struct swap_slots_cache { swp_entry_t *slots, *slots_ret; int nr, cur, n_ret; };

static int host_cpu;
static struct swap_slots_cache host_slots[2];
static struct swap_info_struct *swap_info[32];
static unsigned int nr_swapfiles;
static long nr_swap_pages, total_swap_pages;
static int least_priority;
static bool swap_slot_cache_active, swap_slot_cache_enabled;
static struct plist_head swap_active_head, swap_avail_heads[1];
static const char Bad_file[1], Unused_file[1], Bad_offset[1], Unused_offset[1];
#define use_swap_slot_cache (swap_slot_cache_active && swap_slot_cache_enabled)
#define this_cpu_ptr(p) (&(p)[host_cpu])
#define this_cpu_read(x) ((&(x))[host_cpu])
#define this_cpu_write(x, v) ((&(x))[host_cpu] = (v))
#define swp_slots 0
#define raw_cpu_ptr(p) (&host_slots[host_cpu])
#define per_cpu(p, c) host_slots[c]
#define get_nr_swap_pages() nr_swap_pages
#define vm_swap_full() (nr_swap_pages * 2 < total_swap_pages)
#define swap_node(p) (-1)

static swp_entry_t swp_entry(unsigned long type, pgoff_t offset)
{
	return (swp_entry_t) { type << 26 | (offset & SWP_OFFSET_MASK) };
}
static unsigned int swp_type(swp_entry_t e) { return e.val >> 26; }
static pgoff_t swp_offset(swp_entry_t e) { return e.val & SWP_OFFSET_MASK; }
static struct page *alloc_page(int gfp) { struct page *p = malloc(sizeof(*p)); p->private = 0; return p; }
static void __free_page(struct page *p) { free(p); }
static struct page *vmalloc_to_page(unsigned char *at)
{
	for (unsigned int i = 0; i < nr_swapfiles; i++)
		if (at >= swap_info[i]->swap_map && at < swap_info[i]->swap_map + swap_info[i]->max)
			return &swap_info[i]->host_heads[(at - swap_info[i]->swap_map) / 4096];
	abort();
}
static struct swap_info_struct *swap_type_to_swap_info(int type)
{
	return type < nr_swapfiles ? swap_info[type] : NULL;
}
static struct swap_info_struct *swp_swap_info(swp_entry_t e) { return swap_type_to_swap_info(swp_type(e)); }
static int setup_swap_extents(struct swap_info_struct *si, sector_t *span) { *span = si->pages; return 1; }

static bool swap_count_continued(struct swap_info_struct *, pgoff_t, unsigned char);
int free_swap_slot(swp_entry_t entry);
void swapcache_free_entries(swp_entry_t *entries, int n);
int get_swap_pages(int n_goal, swp_entry_t swp_entries[], int entry_size);
void put_swap_page(struct page *page, swp_entry_t entry);
static void __drain_swap_slots_cache(unsigned int type);
static void deactivate_swap_slots_cache(void);
static void reactivate_swap_slots_cache(void);
int add_swap_count_continuation(swp_entry_t entry, gfp_t gfp_mask);
typedef void (*swap_func_t)(void *a, void *b, int size);
typedef int (*cmp_r_func_t)(const void *a, const void *b, const void *priv);
typedef int (*cmp_func_t)(const void *a, const void *b);
static int __try_to_reclaim_swap(struct swap_info_struct *si, unsigned long offset, unsigned long flags)
{
	/* the page of a slot that no entry names */
	if (!si->host_cached[offset] || (si->swap_map[offset] & ~SWAP_HAS_CACHE))
		return 0;
	si->host_cached[offset] = 0;
	put_swap_page(NULL, swp_entry(si->type, offset));
	return 1;
}

#include "lib-sort.c"
#include "plist-functions.h"
#include "swapfile-functions.h"
#include "swap_slots-functions.h"

void host_begin(void)
{
	nr_swapfiles = nr_swap_pages = total_swap_pages = host_cpu = 0;
	least_priority = -1;
	swap_slot_cache_active = swap_slot_cache_enabled = false;
	for (int cpu = 0; cpu < 2; cpu++)
		host_slots[cpu] = (struct swap_slots_cache) { calloc(64, 4), calloc(64, 4) };
	INIT_LIST_HEAD(&swap_active_head.node_list);
	INIT_LIST_HEAD(&swap_avail_heads[0].node_list);
}

void host_swapon(unsigned int maxpages, int prio, int ssd, int store)
{
	struct swap_info_struct *si = calloc(1, sizeof(*si));
	union swap_header header = { { maxpages - 1 } };
	unsigned int clusters = DIV_ROUND_UP(maxpages, SWAPFILE_CLUSTER), i;
	unsigned char *map = calloc(1, maxpages + 4096);
	sector_t span;

	si->type = nr_swapfiles;
	swap_info[nr_swapfiles++] = si;
	INIT_LIST_HEAD(&si->list.prio_list), INIT_LIST_HEAD(&si->list.node_list);
	INIT_LIST_HEAD(&si->avail_lists[0].prio_list), INIT_LIST_HEAD(&si->avail_lists[0].node_list);
	si->flags = SWP_USED;
	si->lowest_bit = si->cluster_next = 1;
	si->highest_bit = maxpages - 1;
	si->host_heads = calloc(maxpages / 4096 + 1, sizeof(struct page));
	si->host_cached = calloc(1, maxpages);
	if (ssd) {
		si->flags |= SWP_SOLIDSTATE;
		si->cluster_info = calloc(clusters, sizeof(*si->cluster_info));
		si->cluster_next_cpu = calloc(2, sizeof(unsigned int));
		si->percpu_cluster = calloc(2, sizeof(struct percpu_cluster));
		for (i = 0; i < 2; i++) {
			si->cluster_next_cpu[i] = 1;
			cluster_set_null(&si->percpu_cluster[i].index);
		}
	}
	if (setup_swap_map_and_extents(si, &header, map, si->cluster_info, maxpages, &span) != 1)
		abort();
	setup_swap_info(si, prio, map, si->cluster_info);
	_enable_swap_info(si);
	swap_slot_cache_enabled = store;
}

void host_on_cpu(int cpu) { host_cpu = cpu; }
unsigned int host_get(void) { return get_swap_page(NULL).val; }
void host_put(unsigned int e) { put_swap_page(NULL, (swp_entry_t) { e }); }
int host_duplicate(unsigned int e) { return swap_duplicate((swp_entry_t) { e }); }
void host_free(unsigned int e) { swap_free((swp_entry_t) { e }); }
long host_count(unsigned int e) { return swp_swapcount((swp_entry_t) { e }); }
void host_cache(unsigned int e, int on) { swap_info[e >> 26]->host_cached[e & SWP_OFFSET_MASK] = on; }
const unsigned char *host_map(int type) { return swap_info[type]->swap_map; }
const unsigned char *host_cached(int type) { return swap_info[type]->host_cached; }

void host_area(int type, long *out)
{
	struct swap_info_struct *si = swap_info[type];

	long row[] = { si->prio, si->max, si->pages, si->inuse_pages, si->lowest_bit, si->highest_bit, si->cluster_next,
		       si->cluster_nr, !plist_node_empty(&si->avail_lists[0]), nr_swap_pages };
	memcpy(out, row, sizeof(row));
}

int host_free_clusters(int type, int *out)
{
	struct swap_info_struct *si = swap_info[type];
	int n = 0;

	if (!si->cluster_info || cluster_list_empty(&si->free_clusters))
		return 0;
	out[n++] = cluster_list_first(&si->free_clusters);
	while (out[n - 1] != cluster_next(&si->free_clusters.tail))
		out[n] = cluster_next(&si->cluster_info[out[n - 1]]), n++;
	return n;
}

int host_store(int cpu, int back, unsigned int *out)
{
	struct swap_slots_cache *c = &host_slots[cpu];
	int n = back ? c->n_ret : c->nr;

	memcpy(out, back ? c->slots_ret : c->slots + c->cur, n * sizeof(*out));
	return n;
}
