"""/proc/PID/oom_score and oom_score_adj (fs/proc/base.c)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bootsim.linux.include.linux.errno import EACCES, EINVAL
from bootsim.linux.mm.oom_kill.kill import LONG_MIN, OOM_SCORE_ADJ_MAX, OOM_SCORE_ADJ_MIN, oom_badness, totalpages

if TYPE_CHECKING:
    from bootsim.linux.mm.mmap.structs import Task

CAP_SYS_RESOURCE = 24


def proc_oom_score(task: Task) -> int:
    """/proc/PID/oom_score: how likely the OOM killer chooses a task, 0 to 2000; 0 also when it never does.

    Source: fs/proc/base.c proc_oom_score()
    """
    total = totalpages(task.processes.k)
    badness = oom_badness(task, total)
    if badness == LONG_MIN:
        return 0
    per_mille = abs(badness) * 1000 // total  # C divides towards 0
    return (1000 + (per_mille if badness >= 0 else -per_mille)) * 2 // 3


def oom_score_adj_write(task: Task, value: int) -> int:
    """A task writes its own /proc/PID/oom_score_adj: 0, -EINVAL, or -EACCES without the right to go so low.

    Source: fs/proc/base.c oom_score_adj_write(), __set_oom_adj()
    """
    if not OOM_SCORE_ADJ_MIN <= value <= OOM_SCORE_ADJ_MAX:
        return -EINVAL
    allowed = task.cap_effective >> CAP_SYS_RESOURCE & 1
    if value < task.oom_score_adj_min and not allowed:
        return -EACCES
    task.oom_score_adj = value
    if allowed:
        task.oom_score_adj_min = value
    return 0
