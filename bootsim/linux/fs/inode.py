"""The inode hash table (fs/inode.c)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bootsim.linux.lib.cmdline import SetupParam, simple_strtoull
from bootsim.linux.mm.page_alloc import HASH_EARLY, HASH_ZERO, alloc_large_system_hash

if TYPE_CHECKING:
    from bootsim.linux import Kernel


def set_ihash_entries(k: Kernel, text: str) -> bool:
    """ihash_entries=N: how many entries the table has.

    Source: fs/inode.c set_ihash_entries()
    """
    k.ihash_entries = simple_strtoull(text)[0] & 0xFFFFFFFF
    return True


SETUP_PARAMS = (SetupParam("ihash_entries=", set_ihash_entries),)


def inode_init_early(k: Kernel) -> None:
    """Allocate the inode hash table.

    Source: fs/inode.c inode_init_early()
    """
    alloc_large_system_hash(k, "Inode-cache", k.build.sizeof.hlist_head, k.ihash_entries, 14,
                            HASH_EARLY | HASH_ZERO, 0, 0)
