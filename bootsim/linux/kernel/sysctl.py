"""The variables of /proc/sys/vm that concern processes (kernel/sysctl.c)."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from bootsim.linux.include.linux.errno import EINVAL

if TYPE_CHECKING:
    from bootsim.linux.mm.mmap.structs import Processes

_INT_MAX = (1 << 31) - 1
_ULONG_MAX = (1 << 32) - 1


class CtlTable(NamedTuple):
    """struct ctl_table: the variable behind a name, its least and its largest value, and what becomes 0 with it."""

    data: str
    least: int = -_INT_MAX - 1
    most: int = _INT_MAX
    clears: str = ""


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
}


def read_sysctl(room: Processes, name: str) -> int:
    """The value of a variable of /proc/sys/vm. Raises KeyError for one that is not there.

    Source: kernel/sysctl.c vm_table
    """
    return int(getattr(room, VM_TABLE[name].data))


def write_sysctl(room: Processes, name: str, value: int) -> int:
    """Set a variable of /proc/sys/vm: 0 or -EINVAL. Raises KeyError for one that is not there.

    Source: kernel/sysctl.c proc_dointvec_minmax(), mm/util.c overcommit_ratio_handler(), overcommit_kbytes_handler()
    """
    entry = VM_TABLE[name]
    if not entry.least <= value <= entry.most:
        return -EINVAL
    setattr(room, entry.data, value)
    if entry.clears:
        setattr(room, entry.clears, 0)
    return 0
