/* The kernel's own lib/rbtree.c with its callbacks for the largest value of a subtree. */
#include "rbtree.h"

#define NODES 512

struct item { unsigned int key, size, most; struct rb_node rb; };

static struct item items[NODES + 1];
static struct rb_root root;

static inline unsigned int own(struct item *item) { return item->size; }

RB_DECLARE_CALLBACKS_MAX(static, largest, struct item, rb, unsigned int, most, own)

void host_clear(void) { memset(items, 0, sizeof(items)); root = RB_ROOT; }

/* As insert_vmap_area_augment() does it. */
void host_insert(int n, unsigned int key, unsigned int size)
{
	struct rb_node **link = &root.rb_node, *parent = NULL;

	items[n].key = key;
	items[n].size = size;
	while (*link) {
		parent = *link;
		link = rb_entry(parent, struct item, rb)->key > key ? &parent->rb_left : &parent->rb_right;
	}
	rb_link_node(&items[n].rb, parent, link);
	rb_insert_augmented(&items[n].rb, &root, &largest);
	items[n].most = 0;
	largest_propagate(&items[n].rb, NULL);
}

void host_erase(int n) { rb_erase_augmented(&items[n].rb, &root, &largest); }

void host_resize(int n, unsigned int size)
{
	items[n].size = size;
	largest_propagate(&items[n].rb, NULL);
}

static unsigned int key_of(struct rb_node *node) { return node ? rb_entry(node, struct item, rb)->key : 0; }

/* Key of the parent, of the children, whether red, and the largest size, of one node. */
void host_node(int n, unsigned int *out)
{
	struct rb_node *node = &items[n].rb;

	out[0] = key_of(rb_parent(node));
	out[1] = key_of(node->rb_left);
	out[2] = key_of(node->rb_right);
	out[3] = rb_is_red(node);
	out[4] = items[n].size;
	out[5] = items[n].most;
}
