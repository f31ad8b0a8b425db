/* The kernel's own lib/rbtree.c. */
#include "host.h"

#define WRITE_ONCE(x, value) ((x) = (value))
#define rcu_assign_pointer(p, v) ((p) = (v))
#ifndef container_of
#define container_of(ptr, type, member) ((type *)((char *)(ptr) - offsetof(type, member)))
#endif

#include "lib-rbtree.c"
