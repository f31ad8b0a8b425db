"""struct vm_area_struct, mm_struct, anon_vma, task_struct (include/linux/mm_types.h, rmap.h, sched.h).

        Task --mm--> UserMm --mmap--> VmAreaStruct --vm_next--> VmAreaStruct ...
                       |  mm_rb (by address, with gaps)   |
                       |                                  +-- anon_vma_chain: AnonVma, AnonVma ...
                       +-- pages: UserPages, whoever keeps tables and pages behind the VMAs

Processes has all of one machine, and what the kernel keeps in variables for all of them.
"""

from copy import deepcopy

from libc.stdint cimport int64_t, uint32_t, uint64_t
from libc.string cimport memcpy

from bootsim.linux.lib.rbtree cimport RbTree

from bootsim.errors import BootsimError

cdef tuple _MM_FIELDS = (
    "pgd_pa", "context_id", "vmalloc_seq",
    "mmap_base", "task_size", "highest_vm_end", "topdown", "mm_users", "map_count", "total_vm", "hiwater_vm",
    "hiwater_rss", "locked_vm", "pinned_vm", "data_vm", "exec_vm", "stack_vm", "def_flags", "start_code", "end_code",
    "start_data", "end_data", "start_brk", "brk", "start_stack", "arg_start", "arg_end", "env_start", "env_end",
    "sigpage", "vdso", "pgtables_bytes", "flags",
)
cdef tuple _PROCESSES_FIELDS = (
    "last_pid", "mmap_min_addr", "dac_mmap_min_addr", "stack_guard_gap", "sysctl_max_map_count",
    "sysctl_legacy_va_layout", "compat_brk", "randomize_va_space", "sysctl_overcommit_memory",
    "sysctl_overcommit_ratio", "sysctl_overcommit_kbytes", "sysctl_user_reserve_kbytes", "sysctl_admin_reserve_kbytes",
    "vm_committed_as", "total_swap_pages", "page_cluster", "ignore_rlimit_data", "ksm", "transparent_hugepage", "swap",
    "vm_swappiness", "sysctl_panic_on_oom", "sysctl_oom_kill_allocating_task", "sysctl_oom_dump_tasks",
)


class ProcessError(BootsimError):
    """Something is asked of a process that it cannot be asked, such as of one that has ended."""


cdef class VmOperationsStruct:
    """struct vm_operations_struct: what a file system or driver has its mappings do. None: nothing of its own."""

    def __init__(self, str symbol, **operations):
        self.symbol = symbol
        for name, operation in operations.items():
            setattr(self, name, operation)

    def __deepcopy__(self, memo):
        return self  # constant, as in the kernel

    def __repr__(self):
        return f"VmOperationsStruct({self.symbol})"


cdef class AnonVma:
    """struct anon_vma: the VMAs in which an anonymous page may be mapped. Made by mm/rmap."""

    def __cinit__(self):
        self.rb_root = []
        self.refcount = 1

    def __init__(self):
        self.root = self.parent = self

    def __deepcopy__(self, memo):
        cdef AnonVma new = AnonVma.__new__(AnonVma)
        memo[id(self)] = new
        new.refcount, new.num_children, new.num_active_vmas = self.refcount, self.num_children, self.num_active_vmas
        new.id = self.id
        new.root, new.parent = deepcopy(self.root, memo), deepcopy(self.parent, memo)
        new.rb_root = deepcopy(self.rb_root, memo)
        return new

    def __repr__(self):
        return f"AnonVma({self.id:#x}: {len(self.rb_root)} VMAs)"


cdef class VmAreaStruct:
    """struct vm_area_struct: the mapping of [vm_start, vm_end) in one address space."""

    def __cinit__(self):
        self.anon_vma_chain = []

    cdef void fill(self, VmAreaStruct other, dict memo):
        self.vm_start, self.vm_end = other.vm_start, other.vm_end
        self.vm_flags, self.vm_pgoff, self.vm_page_prot = other.vm_flags, other.vm_pgoff, other.vm_page_prot
        self.node = other.node
        self.vm_next, self.vm_prev = memo.get(id(other.vm_next)), memo.get(id(other.vm_prev))
        self.vm_mm = deepcopy(other.vm_mm, memo)
        self.vm_ops = other.vm_ops
        self.anon_vma = deepcopy(other.anon_vma, memo)
        self.anon_vma_chain = deepcopy(other.anon_vma_chain, memo)
        self.vm_file = deepcopy(other.vm_file, memo)
        self.vm_private_data = deepcopy(other.vm_private_data, memo)
        self.swap_readahead_info = other.swap_readahead_info

    def __deepcopy__(self, memo):
        cdef VmAreaStruct new
        if self.node:
            deepcopy(self.vm_mm, memo)
            return memo[id(self)]
        memo[id(self)] = new = VmAreaStruct.__new__(VmAreaStruct)
        new.fill(self, memo)
        return new

    def __contains__(self, addr):
        return self.vm_start <= addr < self.vm_end

    def __repr__(self):
        return f"VmAreaStruct({self.vm_start:#010x}-{self.vm_end:#010x}, flags {self.vm_flags:#x})"


cdef class UserPages:
    """What lies behind the VMAs of address spaces: page tables and pages. This class keeps none.

    Its methods are the kernel's functions of the same names, as VMAs call them: an address space without pages is
    right in all that mmap() and its kin answer, but for what touching memory would bring about. access_process_vm()
    writes bytes into a process, growing its stack where need be: 0 or -EFAULT.
    """

    cdef int unmap_vmas(self, VmAreaStruct vma, uint32_t start, uint32_t end) except -1:
        return 0

    cdef int free_pgtables(self, VmAreaStruct vma, uint32_t floor, uint32_t ceiling) except -1:
        return 0

    cdef int zap_page_range(self, VmAreaStruct vma, uint32_t start, uint32_t size) except -1:
        return 0

    cdef int change_protection(self, VmAreaStruct vma, uint32_t start, uint32_t end, uint32_t newprot,
                               uint32_t cp_flags) except -1:
        return 0

    cdef int64_t move_page_tables(self, VmAreaStruct vma, uint32_t old_addr, VmAreaStruct new_vma, uint32_t new_addr,
                                  uint32_t length, bint need_rmap_locks) except -1:
        return length

    cdef int64_t copy_page_range(self, VmAreaStruct dst_vma, VmAreaStruct src_vma) except? NO_ANSWER:
        return 0

    cdef int64_t get_user_pages(self, VmAreaStruct vma, uint32_t start, uint32_t nr_pages,
                                uint32_t gup_flags) except? NO_ANSWER:
        return nr_pages

    cdef int64_t access_process_vm(self, UserMm mm, uint32_t addr, bytes data) except? NO_ANSWER:
        return 0

    cdef int munlock_pages(self, VmAreaStruct vma, uint32_t start, uint32_t end) except -1:
        return 0

    cdef int64_t madvise_pages(self, VmAreaStruct vma, uint32_t start, uint32_t end, int behavior) except? NO_ANSWER:
        return 0

    cdef int64_t shmem_zero_setup(self, VmAreaStruct vma) except? NO_ANSWER:
        return 0

    cdef int64_t mm_alloc_pgd(self, UserMm mm) except? NO_ANSWER:
        return 0

    cdef int mm_free_pgd(self, UserMm mm) except -1:
        return 0

    cdef int flush_tlb_mm(self, UserMm mm) except -1:
        return 0

    cdef int drop_reference(self, uint32_t pfn) except -1:
        return 0

    cdef int lru_add_drain(self) except -1:
        return 0


cdef class UserMm:
    """struct mm_struct of a process: its address space. It passes wherever a MmStruct does.

    `pgd_pa` is where the first-level table lies (pa), 0 before it has one. Sizes such as total_vm are in pages.
    """

    def __cinit__(self, Processes processes=None, *_):
        self.processes = processes
        self.mm_rb = RbTree(True)
        self.by_node = [None] * self.mm_rb.capacity
        self.rss = [0, 0, 0, 0]
        self.saved_auxv = []
        self.mm_users = 1

    def __init__(self, Processes processes not None, str name="mm"):
        self.name = name
        self.pages = processes.pages
        self.task_size = processes.task_size

    cdef VmAreaStruct at(self, uint32_t node):
        return <VmAreaStruct>self.by_node[node] if node else None

    cdef void enter(self, VmAreaStruct vma):
        # Give a VMA its number in the tree; it is linked by whoever calls.
        vma.node = self.mm_rb.new_node()
        while <uint32_t>len(self.by_node) < self.mm_rb.capacity:
            self.by_node.append(None)
        self.by_node[vma.node] = vma

    cdef void leave(self, VmAreaStruct vma):
        # Take a VMA out of the tree and its number back.
        self.mm_rb.rb_erase(vma.node)
        self.mm_rb.free_node(vma.node)
        self.by_node[vma.node] = None
        vma.node = 0
        self.vmacache = None

    def __iter__(self):
        cdef VmAreaStruct vma = self.mmap
        while vma is not None:
            yield vma
            vma = vma.vm_next

    def __deepcopy__(self, memo):
        cdef UserMm new
        cdef VmAreaStruct vma, shell
        new = memo.get(id(self))
        if new is None:
            memo[id(self)] = new = UserMm.__new__(UserMm)
            _shells(self, memo)
        for name in _MM_FIELDS:
            setattr(new, name, getattr(self, name))
        new.processes, new.owner = deepcopy(self.processes, memo), deepcopy(self.owner, memo)
        new.pages = deepcopy(self.pages, memo)
        new.name = self.name
        new.mm_rb = deepcopy(self.mm_rb, memo)
        new.by_node = [None] * len(self.by_node)
        new.mmap = memo.get(id(self.mmap))
        new.exe_file = deepcopy(self.exe_file, memo)
        new.saved_auxv, new.rss = list(self.saved_auxv), list(self.rss)
        vma = self.mmap
        while vma is not None:
            shell = memo[id(vma)]
            shell.fill(vma, memo)
            new.by_node[vma.node] = shell
            vma = vma.vm_next
        return new

    def __repr__(self):
        return f"UserMm({self.name}: {self.map_count} VMAs, {self.total_vm} pages)"


cdef int _shells(UserMm mm, dict memo) except -1:
    # Copies of all VMAs of an address space are there before any is filled: whoever refers to one finds it.
    cdef VmAreaStruct vma = mm.mmap
    while vma is not None:
        memo[id(vma)] = VmAreaStruct.__new__(VmAreaStruct)
        vma = vma.vm_next
    return 0


cdef class Task:
    """struct task_struct, as far as memory is concerned: a process with its limits, rights and files."""

    def __cinit__(self, Processes processes=None, *_):
        cdef int i
        self.processes = processes
        self.files = {}
        self.cap_effective = (<uint64_t>1 << 41) - 1  # root's
        for i in range(RLIM_NLIMITS):
            self.rlim_cur[i] = self.rlim_max[i] = RLIM_INFINITY
        self.rlim_cur[RLIMIT_STACK] = 8 << 20
        self.rlim_cur[RLIMIT_MEMLOCK] = self.rlim_max[RLIMIT_MEMLOCK] = 64 << 10

    def __init__(self, Processes processes not None, uint32_t pid, str comm="init"):
        self.pid = pid
        self.comm = comm

    def getrlimit(self, unsigned int resource):
        """The limit RLIMIT_... of the process: what holds, and how far it may be raised. 0xffffffff: none."""
        if resource >= RLIM_NLIMITS:
            raise IndexError(f"no resource limit {resource}")
        return self.rlim_cur[resource], self.rlim_max[resource]

    def setrlimit(self, unsigned int resource, uint32_t cur, uint32_t most=RLIM_INFINITY):
        """Set a limit; `most` is no check here but the value that a check would read."""
        if resource >= RLIM_NLIMITS:
            raise IndexError(f"no resource limit {resource}")
        self.rlim_cur[resource], self.rlim_max[resource] = cur, most

    def inherit(self, Task parent not None):
        """Take over what a child has of its parent: limits, rights, personality, files, oom_score_adj."""
        memcpy(self.rlim_cur, parent.rlim_cur, sizeof(parent.rlim_cur))
        memcpy(self.rlim_max, parent.rlim_max, sizeof(parent.rlim_max))
        self.personality, self.cap_effective = parent.personality, parent.cap_effective
        self.brk_randomized, self.comm, self.ppid = parent.brk_randomized, parent.comm, parent.pid
        self.files = dict(parent.files)
        self.oom_score_adj, self.oom_score_adj_min, self.uid = (
            parent.oom_score_adj, parent.oom_score_adj_min, parent.uid)

    def __deepcopy__(self, memo):
        cdef Task new = Task.__new__(Task)
        memo[id(self)] = new
        new.inherit(self)
        new.pid, new.ppid, new.exit_signal = self.pid, self.ppid, self.exit_signal
        new.fatal_signal_pending, new.oom_victim, new.vfork_done, new.in_kernel = (
            self.fatal_signal_pending, self.oom_victim, self.vfork_done, self.in_kernel)
        new.processes, new.mm = deepcopy(self.processes, memo), deepcopy(self.mm, memo)
        new.files = deepcopy(self.files, memo)
        return new

    def __repr__(self):
        return f"Task({self.pid}: {self.comm})"


cdef class Processes:
    """The processes of a machine, and the kernel's variables that concern all of them."""

    def __cinit__(self, *_, **__):
        self.tasks, self.ended = {}, {}
        self.sysctl_oom_dump_tasks = 1
        self.vm_swappiness = 60
        self.anon_vmas = {}
        self.inodes = {}
        self.warned = set()
        self.sysctl_overcommit_ratio = 50
        self.sysctl_user_reserve_kbytes, self.sysctl_admin_reserve_kbytes = 1 << 17, 1 << 13
        self.stack_guard_gap = 256 << PAGE_SHIFT
        self.sysctl_max_map_count = 65530
        self.dac_mmap_min_addr = self.mmap_min_addr = 4096

    def __init__(self, k, uint32_t page_offset, list protection_map not None, uint32_t colour_mask=0,
                 UserPages pages=None):
        cdef int i
        self.k = k
        self.pages = UserPages() if pages is None else pages
        self.task_size = page_offset - (16 << 20)
        self.task_unmapped_base = (self.task_size // 3 + (16 << 20) - 1) & ~<uint32_t>((16 << 20) - 1)
        self.colour_mask = colour_mask
        for i in range(16):
            self.protection_map[i] = protection_map[i]
        self.gate_vma = VmAreaStruct()
        self.gate_vma.vm_start, self.gate_vma.vm_end = 0xFFFF0000, 0xFFFF1000
        self.gate_vma.vm_flags = VM_READ | VM_EXEC | VM_MAYREAD | VM_MAYEXEC
        self.gate_vma.vm_page_prot = self.protection_map[5]

    def __deepcopy__(self, memo):
        cdef Processes new = Processes.__new__(Processes)
        cdef Task task
        memo[id(self)] = new
        for task in self.tasks.values():
            if task.mm is not None and id(task.mm) not in memo:
                memo[id(task.mm)] = UserMm.__new__(UserMm)
                _shells(task.mm, memo)
        for name in _PROCESSES_FIELDS:
            setattr(new, name, getattr(self, name))
        memcpy(new.protection_map, self.protection_map, sizeof(self.protection_map))
        new.task_size, new.task_unmapped_base, new.colour_mask = (
            self.task_size, self.task_unmapped_base, self.colour_mask)
        new.last_anon_vma = self.last_anon_vma
        new.k, new.pages = deepcopy(self.k, memo), deepcopy(self.pages, memo)
        new.gate_vma, new.swapspace = deepcopy(self.gate_vma, memo), deepcopy(self.swapspace, memo)
        new.warned = set(self.warned)
        new.inodes = deepcopy(self.inodes, memo)
        new.anon_vmas = deepcopy(self.anon_vmas, memo)
        for task in self.tasks.values():
            if task.mm is not None:
                (<UserMm>task.mm).__deepcopy__(memo)
        new.tasks, new.ended = deepcopy(self.tasks, memo), dict(self.ended)
        new.current = deepcopy(self.current, memo)
        new.oom_killer, new.reclaimer = deepcopy(self.oom_killer, memo), deepcopy(self.reclaimer, memo)
        return new


cdef UserMm current_mm(Task task):
    # The address space of the task that makes a system call; whose limits and rights count is its own.
    if task.mm is None:
        raise ProcessError(f"process {task.pid} is gone")
    task.mm.owner = task.processes.current = task
    return task.mm
