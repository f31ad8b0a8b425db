from bootsim.linux.mm.mmap.structs cimport UserMm

cdef enum:
    MMF_OOM_SKIP = 1 << 21
    MMF_OOM_VICTIM = 1 << 25

cdef int oom_reap_task_mm(UserMm mm) except -1
