from collections.abc import Callable, Iterator
from typing import Any

from bootsim.errors import BootsimError
from bootsim.linux import Kernel
from bootsim.linux.include.linux.fs import Inode
from bootsim.linux.mm.oom_kill.kill import OomKiller
from bootsim.linux.mm.swap_state import SwapSpace
from bootsim.linux.mm.vmscan.direct import DirectReclaim

class ProcessError(BootsimError): ...

class VmOperationsStruct:
    symbol: str
    open: Callable[[VmAreaStruct], None] | None
    close: Callable[[VmAreaStruct], None] | None
    split: Callable[[VmAreaStruct, int], int] | None
    mremap: Callable[[VmAreaStruct], int] | None
    fault: Any
    map_pages: Any
    page_mkwrite: Any
    pfn_mkwrite: Any
    access: Any
    name: Callable[[VmAreaStruct], str] | None
    def __init__(self, symbol: str, **operations: Any) -> None: ...

class AnonVma:
    root: AnonVma
    parent: AnonVma
    refcount: int
    num_children: int
    num_active_vmas: int
    id: int
    @property
    def rb_root(self) -> list[VmAreaStruct]: ...

class VmAreaStruct:
    vm_start: int
    vm_end: int
    vm_flags: int
    vm_pgoff: int
    vm_page_prot: int
    vm_ops: VmOperationsStruct | None
    vm_file: Any
    vm_private_data: Any
    swap_readahead_info: int
    @property
    def node(self) -> int: ...
    @property
    def vm_next(self) -> VmAreaStruct | None: ...
    @property
    def vm_prev(self) -> VmAreaStruct | None: ...
    @property
    def vm_mm(self) -> UserMm: ...
    @property
    def anon_vma(self) -> AnonVma | None: ...
    @property
    def anon_vma_chain(self) -> list[AnonVma]: ...
    def __contains__(self, addr: int) -> bool: ...

class UserPages: ...

class UserMm:
    pages: UserPages
    owner: Task
    name: str
    pgd_pa: int
    context_id: int
    vmalloc_seq: int
    mmap_base: int
    task_size: int
    highest_vm_end: int
    topdown: bool
    mm_users: int
    map_count: int
    total_vm: int
    hiwater_vm: int
    hiwater_rss: int
    locked_vm: int
    pinned_vm: int
    data_vm: int
    exec_vm: int
    stack_vm: int
    def_flags: int
    start_code: int
    end_code: int
    start_data: int
    end_data: int
    start_brk: int
    brk: int
    start_stack: int
    arg_start: int
    arg_end: int
    env_start: int
    env_end: int
    sigpage: int
    vdso: int
    saved_auxv: list[tuple[int, int]]
    exe_file: Any
    rss: list[int]
    pgtables_bytes: int
    flags: int
    def __init__(self, processes: Processes, name: str = "mm") -> None: ...
    def __iter__(self) -> Iterator[VmAreaStruct]: ...
    @property
    def processes(self) -> Processes: ...
    @property
    def mmap(self) -> VmAreaStruct | None: ...

class Task:
    pid: int
    ppid: int
    comm: str
    mm: UserMm | None
    files: dict[int, Any]
    personality: int
    cap_effective: int
    brk_randomized: bool
    exit_signal: int | None
    fatal_signal_pending: bool
    in_kernel: int
    oom_victim: bool
    vfork_done: bool
    oom_score_adj: int
    oom_score_adj_min: int
    uid: int
    def __init__(self, processes: Processes, pid: int, comm: str = "init") -> None: ...
    @property
    def processes(self) -> Processes: ...
    def getrlimit(self, resource: int) -> tuple[int, int]: ...
    def setrlimit(self, resource: int, cur: int, most: int = 0xFFFFFFFF) -> None: ...
    def inherit(self, parent: Task) -> None: ...

class Processes:
    tasks: dict[int, Task]
    ended: dict[int, int | None]
    current: Task | None
    last_pid: int
    pages: UserPages
    mmap_min_addr: int
    dac_mmap_min_addr: int
    stack_guard_gap: int
    sysctl_max_map_count: int
    sysctl_legacy_va_layout: bool
    compat_brk: bool
    randomize_va_space: int
    sysctl_overcommit_memory: int
    sysctl_overcommit_ratio: int
    sysctl_overcommit_kbytes: int
    sysctl_user_reserve_kbytes: int
    sysctl_admin_reserve_kbytes: int
    vm_committed_as: int
    sysctl_panic_on_oom: int
    sysctl_oom_kill_allocating_task: int
    sysctl_oom_dump_tasks: int
    oom_killer: OomKiller
    reclaimer: DirectReclaim
    vm_swappiness: int
    total_swap_pages: int
    page_cluster: int
    ignore_rlimit_data: bool
    ksm: bool
    transparent_hugepage: bool
    swap: bool
    swapspace: SwapSpace
    inodes: dict[str, Inode]
    warned: set[str]
    def __init__(self, k: Kernel, page_offset: int, protection_map: list[int], colour_mask: int = 0,
                 pages: UserPages | None = None) -> None: ...
    @property
    def k(self) -> Kernel: ...
    @property
    def anon_vmas(self) -> dict[int, AnonVma]: ...
    @property
    def gate_vma(self) -> VmAreaStruct: ...
    @property
    def task_size(self) -> int: ...
    @property
    def task_unmapped_base(self) -> int: ...
    @property
    def colour_mask(self) -> int: ...
