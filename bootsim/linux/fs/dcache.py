"""The dentry hash table (fs/dcache.c)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bootsim.linux.lib.cmdline import SetupParam, simple_strtoull
from bootsim.linux.mm.page_alloc import HASH_EARLY, HASH_ZERO, alloc_large_system_hash

if TYPE_CHECKING:
    from bootsim.linux import Kernel


def set_dhash_entries(k: Kernel, text: str) -> bool:
    """dhash_entries=N: how many entries the table has.

    Source: fs/dcache.c set_dhash_entries()
    """
    k.dhash_entries = simple_strtoull(text)[0] & 0xFFFFFFFF
    return True


SETUP_PARAMS = (SetupParam("dhash_entries=", set_dhash_entries),)


def dcache_init_early(k: Kernel) -> None:
    """Allocate the dentry hash table.

    Source: fs/dcache.c dcache_init_early()
    """
    alloc_large_system_hash(k, "Dentry cache", k.build.sizeof.hlist_bl_head, k.dhash_entries, 13,
                            HASH_EARLY | HASH_ZERO, 0, 0)
