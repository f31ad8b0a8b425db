// SPDX-License-Identifier: GPL-2.0
/*
 * Makes mistakes on purpose, in the order of mistakes.txt, each in a thread of its own (the last words of a BUG end
 * that thread alone), and logs each step before it is taken and what it answered.
 * Letters a-z: addresses, A-Z: pages, digits: caches. "alone" mistakes run when mistake=NAME names them, those that
 * unless=NAME,NAME names do not.
 */
#include <linux/cma.h>
#include <linux/completion.h>
#include <linux/ctype.h>
#include <linux/dma-map-ops.h>
#include <linux/gfp.h>
#include <linux/init.h>
#include <linux/kthread.h>
#include <linux/log2.h>
#include <linux/mm.h>
#include <linux/delay.h>
#include <linux/slab.h>
#include <linux/string.h>
#include <linux/thread_info.h>
#include <linux/uaccess.h>
#include "../../mm/slab.h"

asm(".section .rodata\n.global mistakes_text\nmistakes_text: .incbin \"" MISTAKES_TXT "\"\n.byte 0\n.previous");
extern const char mistakes_text[];

static unsigned long v[26];
static struct page *pages[26];
static struct kmem_cache *caches[10];
static char only[64];
static char *body, *body_end;
static DECLARE_COMPLETION(over);

static int __init mistake_setup(char *s)
{
	strlcpy(only, s, sizeof(only));
	return 1;
}
__setup("mistake=", mistake_setup);

static char unless[512] = ",";

static int __init unless_setup(char *s)
{
	snprintf(unless, sizeof(unless), ",%s,", s);
	return 1;
}
__setup("unless=", unless_setup);

static void ctor(void *p)
{
	*(u32 *)p = 0x12345678;
}

static void rcu_ctor(void *p)
{
	memset(p, 0x11, 128);
}

/* a letter with +n or -n, or a number */
static unsigned long value(const char *s)
{
	unsigned long n = 0;

	if (islower(s[0]) && s[0] >= 'a' && (s[1] == 0 || s[1] == '+' || s[1] == '-')) {
		if (s[1])
			n = simple_strtoul(s + 2, NULL, 0);
		return s[1] == '-' ? v[s[0] - 'a'] - n : v[s[0] - 'a'] + n;
	}
	return simple_strtoul(s, NULL, 0);
}

static struct page *page(const char *s)
{
	unsigned long n = s[1] ? simple_strtoul(s + 2, NULL, 0) : 0;

	if (islower(s[0]))
		return virt_to_page(value(s));
	return s[1] == '-' ? pages[s[0] - 'A'] - n : pages[s[0] - 'A'] + n;
}

static void show(unsigned long at, unsigned long n)
{
	char line[100];
	unsigned long i;

	for (i = 0; i < n; i += 16) {
		hex_dump_to_buffer((void *)(at + i), min(n - i, 16UL), 16, 1, line, sizeof(line), false);
		pr_info("= %03lx: %s\n", i, line);
	}
}

static void state(struct page *p)
{
	pr_info("= flags %05lx count %d\n", p->flags & 0x3fffff, page_ref_count(p));
}

static void slabinfo(void)
{
	struct kmem_cache *s;

	list_for_each_entry(s, &slab_caches, list) {
#ifdef CONFIG_SLAB
		pr_info("= %s %u %u align %u flags %08x off %d order %u num %u colour %zu/%u list %u limit %u batch %u shared %u\n",
			s->name, s->object_size, s->size, s->align, s->flags,
#ifdef CONFIG_DEBUG_SLAB
			s->obj_offset,
#else
			0,
#endif
			s->gfporder, s->num, s->colour, s->colour_off, s->freelist_size, s->limit, s->batchcount, s->shared);
#elif defined(CONFIG_SLUB)
		pr_info("= %s %u %u align %u flags %08x offset %u inuse %u pad %u order %u objects %u min %u\n", s->name,
			s->object_size, s->size, s->align, s->flags, s->offset, s->inuse,
#ifdef CONFIG_SLUB_DEBUG
			s->red_left_pad,
#else
			0,
#endif
			s->oo.x >> 16, s->oo.x & 0xffff, s->min.x >> 16);
#else
		pr_info("= %s %u %u align %u flags %08x\n", s->name, s->object_size, s->size, s->align, s->flags);
#endif
	}
}

#ifdef CONFIG_SLAB
struct array_cache_head { unsigned int avail, limit, batchcount, touched; };
#endif

/* kmalloc() until a slab that was just made gives its first objects, and none is left of older ones */
static unsigned long fresh(unsigned long size, gfp_t gfp)
{
	unsigned long p = 0, n;
	struct page *slab, *last = NULL;

	for (n = 0; n < 1200; n++) {
		p = (unsigned long)kmalloc(size, gfp);
		slab = virt_to_head_page((void *)p);
#ifdef CONFIG_SLAB
		if (n >= 600 && p - (unsigned long)page_address(slab) < size)
			break;
#else
		if (n >= 600 && slab != last)
			break;
#endif
		last = slab;
	}
	return p;
}

static u32 rnd_state;

static u32 rnd(u32 n)
{
	rnd_state ^= rnd_state << 13;
	rnd_state ^= rnd_state >> 17;
	rnd_state ^= rnd_state << 5;
	return rnd_state % n;
}

#define HELD 400
static unsigned long held[HELD];
static int held_of[HELD];

/* random use of the caches 0 to n - 1 (n: of kmalloc() alone), a line of addresses for each eight steps */
static void traffic(u32 seed, u32 steps, u32 n)
{
	static char line[128];
	u32 i, at = 0, slot, of;

	rnd_state = seed;
	for (i = 0; i < steps; i++) {
		slot = rnd(HELD);
		if (held[slot]) {
			kmem_cache_free(caches[held_of[slot]], (void *)held[slot]);
			held[slot] = 0;
			if (rnd(200) == 0)
				kmem_cache_shrink(caches[rnd(n)]);
			continue;
		}
		of = rnd(n);
		held_of[slot] = of;
		held[slot] = (unsigned long)kmem_cache_alloc(caches[of], GFP_KERNEL);
		at += sprintf(line + at, " %08lx", held[slot]);
		if (at >= 72) {
			pr_info("=%s\n", line);
			at = 0;
		}
	}
	pr_info("=%s\n", at ? line : "");
	for (i = 0; i < HELD; i++)
		if (held[i]) {
			kmem_cache_free(caches[held_of[i]], (void *)held[i]);
			held[i] = 0;
		}
}

/* every page there is, so that nothing but reserves is left */
static void exhaust(void)
{
	int order;

	for (order = MAX_ORDER - 1; order >= 0; order--)
		while (alloc_pages(GFP_KERNEL | __GFP_NOWARN | __GFP_NORETRY, order))
			;
}

static struct page *give(struct page *p)
{
	pr_info("= pfn %05lx\n", p ? page_to_pfn(p) : 0UL);
	return p;
}

static unsigned long answer(const void *p)
{
	pr_info("= %08lx\n", (unsigned long)p);
	return (unsigned long)p;
}

static void step(int n, char **w)
{
	const char *op = w[0];
	struct kmem_cache **c = n > 1 && isdigit(w[1][0]) ? &caches[w[1][0] - '0'] : NULL;
	struct page **P = n > 1 && isupper(w[1][0]) ? &pages[w[1][0] - 'A'] : NULL;
	unsigned long *V = n > 1 && islower(w[1][0]) ? &v[w[1][0] - 'a'] : NULL;
	unsigned long x = n > 2 ? value(w[2]) : 0, y = n > 3 ? value(w[3]) : 0, z = n > 4 ? value(w[4]) : 0;

#define IS(name) (!strcmp(op, name))
	if (IS("create") || IS("creatector")) {
		*c = kmem_cache_create_usercopy(w[2], y, z, value(w[5]), n > 6 ? value(w[6]) : 0, n > 7 ? value(w[7]) : 0,
						IS("creatector") ? ctor : NULL);
		pr_info("= %s\n", *c ? "made" : "none");
	} else if (IS("createbad")) {
		*c = kmem_cache_create(w[2], y, z, value(w[5]), rcu_ctor);
	} else if (c && !*c && (IS("destroy") || IS("shrink") || IS("free"))) {
		pr_info("= no cache\n");
	} else if (IS("destroy")) {
		kmem_cache_destroy(*c);
	} else if (IS("shrink")) {
		pr_info("= %d\n", kmem_cache_shrink(*c));
	} else if (IS("alloc")) {		/* alloc a 0 gfp */
		*V = answer(caches[w[2][0] - '0'] ? kmem_cache_alloc(caches[w[2][0] - '0'], y) : NULL);
	} else if (IS("free")) {		/* free 0 a */
		kmem_cache_free(*c, (void *)x);
	} else if (IS("kmalloc")) {
		*V = answer(kmalloc(x, y));
	} else if (IS("fresh")) {
		*V = answer((void *)fresh(x, y));
	} else if (IS("kfree")) {
		kfree((void *)value(w[1]));
	} else if (IS("ksize")) {
		pr_info("= %u\n", ksize((void *)value(w[1])));
	} else if (IS("krealloc")) {		/* krealloc a size gfp */
		*V = answer(krealloc((void *)*V, x, y));
	} else if (IS("fill")) {		/* fill a+n length byte */
		memset((void *)value(w[1]), y, x);
	} else if (IS("show")) {
		show(value(w[1]), x);
	} else if (IS("page")) {		/* page A order gfp */
		*P = give(alloc_pages(y, x));
	} else if (IS("freepages")) {
		__free_pages(page(w[1]), x);
	} else if (IS("address")) {		/* address a A */
		*V = answer(page_address(page(w[2])));
	} else if (IS("exact")) {
		*V = answer(alloc_pages_exact(x, y));
	} else if (IS("freeexact")) {
		free_pages_exact((void *)value(w[1]), x);
	} else if (IS("drain")) {
		drain_local_pages(NULL);
	} else if (IS("split")) {
		split_page(page(w[1]), x);
	} else if (IS("getpage")) {
		get_page(page(w[1]));
	} else if (IS("putpage")) {
		put_page(page(w[1]));
	} else if (IS("setcount")) {
		set_page_count(page(w[1]), (int)x);
	} else if (IS("setmapcount")) {
		atomic_set(&page(w[1])->_mapcount, (int)x - 1);
	} else if (IS("setmapping")) {
		page(w[1])->mapping = (void *)x;
	} else if (IS("setflag")) {
		set_bit(x, &page(w[1])->flags);
	} else if (IS("clearflag")) {
		clear_bit(x, &page(w[1])->flags);
	} else if (IS("state")) {
		state(page(w[1]));
	} else if (IS("cma")) {			/* cma A count align */
		*P = give(cma_alloc(dma_contiguous_default_area, x, y, false));
	} else if (IS("cmafree")) {
		pr_info("= %d\n", cma_release(dma_contiguous_default_area, page(w[1]), x));
	} else if (IS("contig")) {		/* contig A count gfp */
		*P = give(alloc_contig_pages(x, y, 0, NULL));
	} else if (IS("freecontig")) {
		free_contig_range(page_to_pfn(page(w[1])), x);
	} else if (IS("usercopy")) {		/* usercopy a+n length to_user */
		check_object_size((void *)value(w[1]), x, y);
	} else if (IS("exhaust")) {
		exhaust();
	} else if (IS("slabinfo")) {
		slabinfo();
	} else if (IS("traffic")) {
		traffic(value(w[1]), x, y);
	} else {
		pr_err("mistakes: no such step: %s\n", op);
	}
}

static int run(void *unused)
{
	char line[128], *words[10], *s, *end, *rest, *word;
	int n;

	for (s = body; s < body_end; s = end + 1) {
		end = strchr(s, '\n');
		strlcpy(line, s, min_t(size_t, sizeof(line), end - s + 1));
		if (!line[0] || line[0] == '#')
			continue;
		pr_info("> %s\n", line);
		n = 0;
		rest = line;
		while ((word = strsep(&rest, " ")) && n < 10)
			words[n++] = word;
		step(n, words);
	}
	complete(&over);
	return 0;
}

static int __init mistakes_init(void)
{
	const char *s = mistakes_text, *end;
	char name[64], wanted[66];

	while ((s = strstr(s, "mistake "))) {
		bool alone;

		end = strchr(s, '\n');
		strlcpy(name, s + 8, min_t(size_t, sizeof(name), end - s - 7));
		alone = strstr(name, " alone") != NULL;
		if (alone)
			*strchr(name, ' ') = 0;
		body = (char *)end + 1;
		body_end = strstr(body, "mistake ");
		if (!body_end)
			body_end = body + strlen(body);
		s = body_end;
		snprintf(wanted, sizeof(wanted), ",%s,", name);
		if (only[0] ? strcmp(only, name) != 0 : alone || strstr(unless, wanted))
			continue;
		pr_info("mistake %s\n", name);
		reinit_completion(&over);
		kthread_run(run, NULL, "mistakes");
		if (!wait_for_completion_timeout(&over, 3 * HZ))
			pr_info("= over\n");
		msleep(20);
	}
	pr_info("mistakes end\n");
	return 0;
}
late_initcall_sync(mistakes_init);
