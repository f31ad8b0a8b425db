/* What the kernel's sources under test want of its headers, on the host: 32-bit physical addresses, one node.
 * Every <linux/...> and <asm/...> that they include is made to include this. */
#ifndef HOST_H
#define HOST_H
#include <ctype.h>
#include <errno.h>
#include <limits.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef uint8_t u8;
typedef uint16_t u16;
typedef uint32_t u32;
typedef uint64_t u64;
typedef int64_t s64;
typedef u32 phys_addr_t;
typedef unsigned int gfp_t;

#define PHYS_ADDR_MAX (~(phys_addr_t)0)
#define PAGE_SHIFT 12
#define PAGE_SIZE 4096u
#define PAGE_MASK (~(PAGE_SIZE - 1))
#define PAGE_ALIGN(x) (((x) + PAGE_SIZE - 1) & PAGE_MASK)
#define PFN_UP(x) (((x) + PAGE_SIZE - 1) >> PAGE_SHIFT)
#define PFN_DOWN(x) ((x) >> PAGE_SHIFT)
#define PFN_PHYS(x) ((phys_addr_t)(x) << PAGE_SHIFT)
#define SMP_CACHE_BYTES 64
#define MAX_ORDER 11
#define MAX_NUMNODES 1
#define NUMA_NO_NODE (-1)

#define __init
#define __initdata
#define __init_memblock
#define __initdata_memblock
#define __meminit
#define __meminitdata
#define __initconst
#define __refdata
#define __ref
#define __read_mostly
#define __always_inline inline __attribute__((always_inline))
#define __maybe_unused __attribute__((unused))
#define __attribute_const__ __attribute__((const))
#define noinline __attribute__((noinline))
#define fallthrough __attribute__((fallthrough))
#define EXPORT_SYMBOL(x)
#define EXPORT_SYMBOL_GPL(x)
#define early_param(name, fn) static void *early_##fn __attribute__((unused)) = fn
#define IS_ENABLED(x) 0
#define IS_ALIGNED(x, a) (((x) & ((typeof(x))(a) - 1)) == 0)
#define likely(x) (x)
#define unlikely(x) (x)
#define READ_ONCE(x) (x)
#define BUG_ON(x) do { if (x) abort(); } while (0)
#define BUG() abort()
#define WARN_ON(x) (!!(x))
#define WARN_ON_ONCE(x) (!!(x))
#define WARN(x, ...) (!!(x))
#define WARN_ONCE(x, ...) (!!(x))
#define VM_BUG_ON(x) do { } while (0)
#define BUILD_BUG_ON(x) do { } while (0)
#define pr_info(...) do { } while (0)
#define pr_err(...) do { } while (0)
#define pr_warn(...) do { } while (0)
#define pr_debug(...) do { } while (0)
#define panic(...) abort()
#define ARRAY_SIZE(a) (sizeof(a) / sizeof(*(a)))
#define min(a, b) ({ typeof(a) a_ = (a); typeof(b) b_ = (b); a_ < b_ ? a_ : b_; })
#define max(a, b) ({ typeof(a) a_ = (a); typeof(b) b_ = (b); a_ > b_ ? a_ : b_; })
#define min_t(t, a, b) min((t)(a), (t)(b))
#define max_t(t, a, b) max((t)(a), (t)(b))
#define clamp(x, lo, hi) min(max(x, lo), hi)
#define swap(a, b) do { typeof(a) t_ = (a); (a) = (b); (b) = t_; } while (0)
#define round_up(x, y) ((((x) - 1) | ((typeof(x))(y) - 1)) + 1)
#define round_down(x, y) ((x) & ~((typeof(x))(y) - 1))
#define ALIGN(x, a) (((x) + (typeof(x))(a) - 1) & ~((typeof(x))(a) - 1))
#define __ffs(x) ((unsigned long)__builtin_ctzl(x))

/* Physical memory is an arena of 4 GiB; its first byte is physical address 0. */
extern char *arena;
#define __va(pa) ((void *)(arena + (phys_addr_t)(pa)))
#define __pa(va) ((phys_addr_t)((char *)(va) - arena))
#define phys_to_virt __va
#define virt_to_phys __pa
#define slab_is_available() 0
#define kmalloc(...) NULL
#define kzalloc_node(...) NULL
#define kzalloc(...) NULL
#define kfree(x) do { } while (0)
#define kmemleak_alloc_phys(...) do { } while (0)
#define kmemleak_free_part_phys(...) do { } while (0)
#define kmemleak_free_part(...) do { } while (0)

struct page;
struct seq_file;
struct zone { unsigned long managed_pages; };
typedef struct pglist_data { struct zone node_zones[1]; } pg_data_t;
#define MAX_NR_ZONES 1
extern unsigned long min_low_pfn, max_low_pfn, max_pfn;
extern unsigned long long max_possible_pfn;
#define for_each_online_pgdat(p) for (p = NULL; p; )
#define phys_to_page(x) ((struct page *)0)
#define pfn_to_page(x) ((struct page *)0)
#define movable_node_is_enabled() 0
#define dump_stack() do { } while (0)
#define page_init_poison(...) do { } while (0)
#define memblock_free_pages(...) do { } while (0)
#define totalram_pages_inc() do { } while (0)
#define totalram_pages_add(n) ((void)(n))
#define reserve_bootmem_region(...) do { } while (0)
#define atomic_long_set(v, n) do { } while (0)

unsigned long long simple_strtoull(const char *cp, char **endp, unsigned int base);
#endif
