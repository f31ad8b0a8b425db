/* The functions of mm/vmalloc.c that keep ranges of addresses, as the test takes them out of the kernel's source. */
#include "rbtree.h"

/* From here on the kernel's long has 32 bits, as on ARM. */
#define long int
#undef ALIGN
#define ALIGN(x, a) (((x) + (a) - 1) & ~((typeof(x))(a) - 1))
#define max3(a, b, c) max(a, max(b, c))
#undef max
#undef min
#define max(a, b) ((a) > (b) ? (a) : (b))
#define min(a, b) ((a) < (b) ? (a) : (b))
#define WARN(condition, ...) (abort(), 1)
#define WARN_ON(condition) (condition)
#define WARN_ON_ONCE(condition) (condition)
#define BUG_ON(condition) do { if (condition) abort(); } while (0)
#define IS_ALIGNED(x, a) (((x) & ((a) - 1)) == 0)
#define is_power_of_2(x) (((x) & ((x) - 1)) == 0)
#define offset_in_page(x) ((x) & 4095)
#define spin_lock(lock) do { } while (0)
#define spin_unlock(lock) do { } while (0)
#define kasan_populate_vmalloc(start, size) 0
#define kasan_unpoison_vmalloc(start, size) do { } while (0)
#define kasan_release_vmalloc(a, b, c, d) do { } while (0)
#define __this_cpu_xchg(variable, value) NULL
#define GFP_KERNEL 0xcc0
#define GFP_NOWAIT 0x800
#define kmem_cache_alloc(cache, gfp) calloc(1, sizeof(struct vmap_area))
#define kmem_cache_zalloc(cache, gfp) calloc(1, sizeof(struct vmap_area))
#define kmem_cache_free(cache, object) free(object)
#define kcalloc(n, size, gfp) calloc(n, size)
#define kzalloc(size, gfp) calloc(1, size)
#define kfree(object) free(object)
#define VM_ALLOC 2

struct list_head { struct list_head *next, *prev; };

static void list_add(struct list_head *new, struct list_head *head)
{
	new->next = head->next;
	new->prev = head;
	head->next->prev = new;
	head->next = new;
}

static void list_del(struct list_head *entry)
{
	entry->next->prev = entry->prev;
	entry->prev->next = entry->next;
}

#define list_entry(ptr, type, member) container_of(ptr, type, member)
#define list_for_each_entry(pos, head, member) \
	for (pos = list_entry((head)->next, typeof(*pos), member); &pos->member != (head); \
	     pos = list_entry(pos->member.next, typeof(*pos), member))
#define list_for_each_entry_from_reverse(pos, head, member) \
	for (; &pos->member != (head); pos = list_entry(pos->member.prev, typeof(*pos), member))

struct vm_struct { unsigned int addr; };

struct vmap_area {
	unsigned int va_start, va_end;
	struct rb_node rb_node;
	struct list_head list;
	union { unsigned int subtree_max_size; struct vm_struct *vm; };
};

enum fit_type { NOTHING_FIT, FL_FIT_TYPE, LE_FIT_TYPE, RE_FIT_TYPE, NE_FIT_TYPE };

static void *vmap_area_cachep;
static unsigned int VMALLOC_START, VMALLOC_END;
static struct list_head vmap_area_list = { &vmap_area_list, &vmap_area_list };
static struct list_head free_vmap_area_list = { &free_vmap_area_list, &free_vmap_area_list };
static struct rb_root vmap_area_root, free_vmap_area_root;

static void purge_vmap_area_lazy(void) { }
static void setup_vmalloc_vm_locked(struct vm_struct *vm, struct vmap_area *va, unsigned int flags, const void *caller)
{
	vm->addr = va->va_start;
	va->vm = vm;
}
static inline unsigned int va_size(struct vmap_area *va) { return va->va_end - va->va_start; }
RB_DECLARE_CALLBACKS_MAX(static, free_vmap_area_rb_augment_cb, struct vmap_area, rb_node, unsigned int,
			 subtree_max_size, va_size)

#include "vmalloc-functions.h"

/* One free hole, as without early areas. */
void host_begin(unsigned int vmalloc_start, unsigned int vmalloc_end)
{
	struct vmap_area *va = calloc(1, sizeof(*va));

	VMALLOC_START = vmalloc_start;
	VMALLOC_END = vmalloc_end;
	vmap_area_root = free_vmap_area_root = RB_ROOT;
	vmap_area_list.next = vmap_area_list.prev = &vmap_area_list;
	free_vmap_area_list.next = free_vmap_area_list.prev = &free_vmap_area_list;
	va->va_start = 1;
	va->va_end = 0xffffffff;
	insert_vmap_area_augment(va, NULL, &free_vmap_area_root, &free_vmap_area_list);
}

unsigned int host_take(unsigned int size, unsigned int align, unsigned int vstart, unsigned int vend)
{
	unsigned int addr = __alloc_vmap_area(size, align, vstart, vend);
	struct vmap_area *va;

	if (addr == vend)
		return addr;
	va = calloc(1, sizeof(*va));
	va->va_start = addr;
	va->va_end = addr + size;
	insert_vmap_area(va, &vmap_area_root, &vmap_area_list);
	return addr;
}

void host_give(unsigned int addr)
{
	struct vmap_area *va = __find_vmap_area(addr);

	unlink_va(va, &vmap_area_root);
	merge_or_add_vmap_area(va, &free_vmap_area_root, &free_vmap_area_list);
}

/* The lowest area's address, 0 where there is no room. */
unsigned int host_percpu(const unsigned int *offsets, const unsigned int *sizes, int n, unsigned int align)
{
	size_t wide[16];
	struct vm_struct **vms;
	int i;

	for (i = 0; i < n; i++)
		wide[i] = sizes[i];
	vms = pcpu_get_vm_areas(offsets, wide, n, align);
	return vms ? vms[0]->addr - offsets[0] : 0;
}

static unsigned int start_of(struct rb_node *node) { return node ? rb_entry(node, struct vmap_area, rb_node)->va_start : 0; }

/* Of each free range in order: start, end, largest below, starts of the children. How many. */
int host_free(unsigned int *out)
{
	struct vmap_area *va;
	int n = 0;

	list_for_each_entry(va, &free_vmap_area_list, list) {
		out[5 * n] = va->va_start;
		out[5 * n + 1] = va->va_end;
		out[5 * n + 2] = va->subtree_max_size;
		out[5 * n + 3] = start_of(va->rb_node.rb_left);
		out[5 * n + 4] = start_of(va->rb_node.rb_right);
		n++;
	}
	return n;
}
