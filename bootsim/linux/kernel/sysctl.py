"""The variables of /proc/sys/vm that concern the page allocator and processes (kernel/sysctl.c)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from bootsim.linux.include.linux.errno import EINVAL
from bootsim.linux.kernel.fork.init import processes
from bootsim.linux.mm.page_alloc import setup_per_zone_wmarks

if TYPE_CHECKING:
    from collections.abc import Callable

    from bootsim.linux import Kernel

_INT_MAX = (1 << 31) - 1
_ULONG_MAX = (1 << 32) - 1


class CtlTable(NamedTuple):
    """struct ctl_table: the variable behind a name, its least and its largest value, and what becomes 0 with it.

    `handler` is called with the machine when it is written; `of_node`: the variable is the page allocator's.
    """

    data: str
    least: int = -_INT_MAX - 1
    most: int = _INT_MAX
    clears: str = ""
    of_node: bool = False
    handler: Callable[[Kernel], Any] | None = None


def sysctl_compaction_handler(k: Kernel) -> None:
    """Compact every zone, whatever is written.

    Source: mm/compaction.c sysctl_compaction_handler()
    """
    from bootsim.linux.mm.compaction.api import compact_memory  # no boot comes to this

    compact_memory(k)


def min_free_kbytes_sysctl_handler(k: Kernel) -> None:
    """Set all watermarks by what is to be kept free.

    Source: mm/page_alloc.c min_free_kbytes_sysctl_handler()
    """
    k.mm.pgdat.user_min_free_kbytes = k.mm.pgdat.min_free_kbytes
    setup_per_zone_wmarks(k)


VM_TABLE = {
    "overcommit_memory": CtlTable("sysctl_overcommit_memory", 0, 2),
    "overcommit_ratio": CtlTable("sysctl_overcommit_ratio", clears="sysctl_overcommit_kbytes"),
    "overcommit_kbytes": CtlTable("sysctl_overcommit_kbytes", 0, _ULONG_MAX, clears="sysctl_overcommit_ratio"),
    "page-cluster": CtlTable("page_cluster", 0),
    "panic_on_oom": CtlTable("sysctl_panic_on_oom", 0, 2),
    "swappiness": CtlTable("vm_swappiness", 0, 200),
    "oom_kill_allocating_task": CtlTable("sysctl_oom_kill_allocating_task"),
    "oom_dump_tasks": CtlTable("sysctl_oom_dump_tasks"),
    "max_map_count": CtlTable("sysctl_max_map_count", 0),
    "user_reserve_kbytes": CtlTable("sysctl_user_reserve_kbytes", 0, _ULONG_MAX),
    "admin_reserve_kbytes": CtlTable("sysctl_admin_reserve_kbytes", 0, _ULONG_MAX),
    "min_free_kbytes": CtlTable("min_free_kbytes", 0, of_node=True, handler=min_free_kbytes_sysctl_handler),
    "watermark_boost_factor": CtlTable("watermark_boost_factor", 0, of_node=True),
    "watermark_scale_factor": CtlTable("watermark_scale_factor", 1, 3000, of_node=True, handler=setup_per_zone_wmarks),
    "compact_memory": CtlTable("", handler=sysctl_compaction_handler),
}


def vm_table(k: Kernel) -> dict[str, CtlTable]:
    """Return the variables that the kernel's build has, by name.

    Source: kernel/sysctl.c vm_table
    """
    return {name: entry for name, entry in VM_TABLE.items() if name != "compact_memory" or k.build.config.COMPACTION}


def read_sysctl(k: Kernel, name: str) -> int | None:
    """Return the value of a variable of /proc/sys/vm; None for one that can be written only (mode 0200).

    Raises KeyError for one that is not there.
    Source: kernel/sysctl.c proc_dointvec_minmax()
    """
    entry = VM_TABLE[name]
    return int(getattr(_room(k, entry), entry.data)) if entry.data else None


def write_sysctl(k: Kernel, name: str, value: int) -> int:
    """Set a variable of /proc/sys/vm: 0 or -EINVAL. Raises KeyError for one that is not there.

    Source: kernel/sysctl.c proc_dointvec_minmax(), mm/util.c overcommit_ratio_handler(), overcommit_kbytes_handler()
    """
    entry = VM_TABLE[name]
    if not entry.least <= value <= entry.most:
        return -EINVAL
    if entry.data:
        setattr(_room(k, entry), entry.data, value)
    if entry.clears:
        setattr(_room(k, entry), entry.clears, 0)
    if entry.handler is not None:
        entry.handler(k)
    return 0


def _room(k: Kernel, entry: CtlTable) -> Any:
    return k.mm.pgdat if entry.of_node else processes(k)
