"""The dentry hash table (fs/dcache.c)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bootsim.linux.mm.page_alloc import HASH_EARLY, HASH_ZERO, alloc_large_system_hash

if TYPE_CHECKING:
    from bootsim.linux import Kernel


def dcache_init_early(k: Kernel) -> None:
    """Allocate the dentry hash table.

    Source: fs/dcache.c dcache_init_early()
    """
    alloc_large_system_hash(k, "Dentry cache", k.build.sizeof.hlist_bl_head, k.dhash_entries, 13,
                            HASH_EARLY | HASH_ZERO, 0, 0)
