"""Flags of a page, the bits of struct page's flags (include/linux/page-flags.h)."""

PG_referenced = 1 << 1
PG_dirty = 1 << 3
PG_lru = 1 << 4
PG_slab = 1 << 9
PG_reserved = 1 << 12
PG_swapbacked = 1 << 19
