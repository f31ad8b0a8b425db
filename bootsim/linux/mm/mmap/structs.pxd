# struct vm_area_struct, mm_struct of a process, anon_vma, task_struct: what the parts of memory management share.
from libc.stdint cimport int32_t, int64_t, uint8_t, uint32_t, uint64_t

from bootsim.linux.lib.rbtree cimport RbTree
from bootsim.linux.mm.mmap.flags cimport *


cdef class VmOperationsStruct:
    cdef public str symbol              # the kernel's name of the table, "shmem_vm_ops"
    cdef public object open             # open(vma), close(vma), split(vma, addr), mremap(vma): None where there is none
    cdef public object close
    cdef public object split
    cdef public object mremap
    cdef public object fault            # what follows belongs to faults
    cdef public object map_pages
    cdef public object page_mkwrite
    cdef public object pfn_mkwrite
    cdef public object access
    cdef public object name             # name(vma), as /proc/PID/maps shows it


cdef class AnonVma:
    cdef public AnonVma root
    cdef public AnonVma parent
    cdef public int32_t refcount
    cdef public int32_t num_children
    cdef public int32_t num_active_vmas
    cdef readonly list rb_root          # its VMAs, an interval tree (mm/interval_tree)
    cdef public uint32_t id             # what page->mapping of its pages is, without the bit that says anonymous


cdef class VmAreaStruct:
    cdef public uint32_t vm_start
    cdef public uint32_t vm_end
    cdef public uint32_t vm_flags
    cdef public uint32_t vm_pgoff
    cdef public uint32_t vm_page_prot
    cdef readonly uint32_t node         # its number in mm.mm_rb, 0 while it is in none
    cdef readonly VmAreaStruct vm_next
    cdef readonly VmAreaStruct vm_prev
    cdef readonly UserMm vm_mm
    cdef readonly AnonVma anon_vma
    cdef readonly list anon_vma_chain   # its anon_vmas, newest first
    cdef public VmOperationsStruct vm_ops
    cdef public object vm_file
    cdef public object vm_private_data
    cdef public uint32_t swap_readahead_info    # where swap-in was last, how far it read, what of that was of use

    cdef void fill(self, VmAreaStruct other, dict memo)


cdef class UserPages:
    cdef int unmap_vmas(self, VmAreaStruct vma, uint32_t start, uint32_t end) except -1
    cdef int free_pgtables(self, VmAreaStruct vma, uint32_t floor, uint32_t ceiling) except -1
    cdef int zap_page_range(self, VmAreaStruct vma, uint32_t start, uint32_t size) except -1
    cdef int change_protection(self, VmAreaStruct vma, uint32_t start, uint32_t end, uint32_t newprot,
                               uint32_t cp_flags) except -1
    cdef int64_t move_page_tables(self, VmAreaStruct vma, uint32_t old_addr, VmAreaStruct new_vma, uint32_t new_addr,
                                  uint32_t length, bint need_rmap_locks) except -1
    cdef int64_t copy_page_range(self, VmAreaStruct dst_vma, VmAreaStruct src_vma) except? NO_ANSWER
    cdef int64_t get_user_pages(self, VmAreaStruct vma, uint32_t start, uint32_t nr_pages,
                                uint32_t gup_flags) except? NO_ANSWER
    cdef int64_t access_process_vm(self, UserMm mm, uint32_t addr, bytes data) except? NO_ANSWER
    cdef int munlock_pages(self, VmAreaStruct vma, uint32_t start, uint32_t end) except -1
    cdef int64_t madvise_pages(self, VmAreaStruct vma, uint32_t start, uint32_t end, int behavior) except? NO_ANSWER
    cdef int64_t shmem_zero_setup(self, VmAreaStruct vma) except? NO_ANSWER
    cdef int64_t mm_alloc_pgd(self, UserMm mm) except? NO_ANSWER
    cdef int mm_free_pgd(self, UserMm mm) except -1
    cdef int flush_tlb_mm(self, UserMm mm) except -1
    cdef int lru_add_drain(self) except -1
    cdef int drop_reference(self, uint32_t pfn) except -1


cdef class UserMm:
    cdef readonly Processes processes
    cdef public UserPages pages
    cdef public Task owner              # who acts on it now: current
    cdef public str name
    cdef public uint32_t pgd_pa
    cdef public uint64_t context_id     # its number in the TLB, with the generation of that
    cdef public uint32_t vmalloc_seq    # as init_mm's when its kernel part was copied
    cdef readonly VmAreaStruct mmap
    cdef RbTree mm_rb
    cdef list by_node                   # the VMA of each number in mm_rb
    cdef VmAreaStruct vmacache          # what find_vma() found last
    cdef public uint32_t mmap_base
    cdef public uint32_t task_size
    cdef public uint32_t highest_vm_end
    cdef public bint topdown            # which arch_get_unmapped_area
    cdef public int32_t mm_users
    cdef public int32_t map_count
    cdef public uint32_t total_vm       # pages, as all of these
    cdef public uint32_t hiwater_vm
    cdef public uint32_t hiwater_rss
    cdef public uint32_t locked_vm
    cdef public uint32_t pinned_vm
    cdef public uint32_t data_vm
    cdef public uint32_t exec_vm
    cdef public uint32_t stack_vm
    cdef public uint32_t def_flags
    cdef public uint32_t start_code
    cdef public uint32_t end_code
    cdef public uint32_t start_data
    cdef public uint32_t end_data
    cdef public uint32_t start_brk
    cdef public uint32_t brk
    cdef public uint32_t start_stack
    cdef public uint32_t arg_start
    cdef public uint32_t arg_end
    cdef public uint32_t env_start
    cdef public uint32_t env_end
    cdef public uint32_t sigpage
    cdef public uint32_t vdso
    cdef public list saved_auxv         # (type, value)
    cdef public object exe_file
    cdef public list rss                # file, anonymous, swap entries, shmem: pages
    cdef public uint32_t pgtables_bytes
    cdef public uint32_t flags          # MMF_...

    cdef VmAreaStruct at(self, uint32_t node)
    cdef void enter(self, VmAreaStruct vma)
    cdef void leave(self, VmAreaStruct vma)


cdef class Task:
    cdef readonly Processes processes
    cdef public uint32_t pid
    cdef public uint32_t ppid
    cdef public str comm
    cdef public UserMm mm
    cdef public dict files              # struct file by descriptor
    cdef public uint32_t personality
    cdef public uint64_t cap_effective
    cdef public bint brk_randomized
    cdef public object exit_signal      # the number that ended it
    cdef public bint fatal_signal_pending   # it was sent SIGKILL, and dies when it leaves the kernel
    cdef public int in_kernel           # how many of its system calls and faults are under way
    cdef public bint oom_victim         # the OOM killer chose it (signal->oom_mm)
    cdef public bint vfork_done         # it is in its parent's address space until it has one of its own
    cdef public int oom_score_adj
    cdef public int oom_score_adj_min
    cdef public uint32_t uid
    cdef uint32_t rlim_cur[RLIM_NLIMITS]
    cdef uint32_t rlim_max[RLIM_NLIMITS]


cdef class Processes:
    cdef readonly object k
    cdef public dict tasks              # by pid, in the order of for_each_process()
    cdef public dict ended              # the signals that ended others, by pid
    cdef public Task current            # whose system call or fault is under way, or was made by hand last
    cdef public uint32_t last_pid
    cdef readonly dict anon_vmas        # by id
    cdef public UserPages pages
    cdef public object oom_killer
    cdef public object reclaimer
    cdef public int vm_swappiness
    cdef readonly VmAreaStruct gate_vma
    cdef readonly uint32_t task_size
    cdef readonly uint32_t task_unmapped_base
    cdef readonly uint32_t colour_mask  # what SHMLBA aligns, 0 for caches without aliases
    cdef public uint32_t mmap_min_addr
    cdef public uint32_t dac_mmap_min_addr
    cdef public uint32_t stack_guard_gap
    cdef public int32_t sysctl_max_map_count
    cdef public bint sysctl_legacy_va_layout
    cdef public bint compat_brk
    cdef public int randomize_va_space
    cdef public int sysctl_overcommit_memory
    cdef public uint32_t sysctl_overcommit_ratio
    cdef public uint32_t sysctl_overcommit_kbytes
    cdef public uint32_t sysctl_user_reserve_kbytes
    cdef public uint32_t sysctl_admin_reserve_kbytes
    cdef public int64_t vm_committed_as
    cdef public int sysctl_panic_on_oom
    cdef public int sysctl_oom_kill_allocating_task
    cdef public int sysctl_oom_dump_tasks
    cdef public uint32_t total_swap_pages
    cdef public int page_cluster        # swap-in reads up to 1 << page_cluster pages
    cdef public bint ignore_rlimit_data
    cdef public bint ksm
    cdef public bint transparent_hugepage
    cdef public bint swap
    cdef public object swapspace        # swap_state.SwapSpace, once there was an area
    cdef public dict inodes             # of files of the host, by path
    cdef public set warned              # what is warned of once
    cdef uint32_t protection_map[16]
    cdef uint32_t last_anon_vma


cdef inline uint32_t vma_pages(VmAreaStruct vma) noexcept:
    return (vma.vm_end - vma.vm_start) >> PAGE_SHIFT


cdef inline bint vma_is_anonymous(VmAreaStruct vma) noexcept:
    return vma.vm_ops is None


cdef inline bint vma_is_accessible(VmAreaStruct vma) noexcept:
    return (vma.vm_flags & VM_ACCESS_FLAGS) != 0


cdef inline bint capable(Task task, int cap) noexcept:
    return (task.cap_effective >> cap) & 1


cdef inline uint32_t rlimit(Task task, int which) noexcept:
    return task.rlim_cur[which]


cdef inline uint32_t linear_page_index(VmAreaStruct vma, uint32_t addr) noexcept:
    return ((addr - vma.vm_start) >> PAGE_SHIFT) + vma.vm_pgoff

cdef UserMm current_mm(Task task)
