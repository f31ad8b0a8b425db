# A program that replaces another.
from libc.stdint cimport int64_t, uint32_t

from bootsim.linux.mm.mmap.structs cimport NO_ANSWER, Task, UserMm, VmAreaStruct

cdef enum:
    EXSTACK_DEFAULT = 0
    EXSTACK_DISABLE_X = 1
    EXSTACK_ENABLE_X = 2

cdef class LinuxBinprm:
    cdef Task task
    cdef UserMm mm
    cdef VmAreaStruct vma
    cdef object file
    cdef object open_exec   # open_exec(path) is the file of an interpreter, or -errno
    cdef uint32_t p         # where the next string ends
    cdef uint32_t argmin
    cdef uint32_t exec_va   # where the program's name lies
    cdef list argv
    cdef list envp

cdef int begin_new_exec(LinuxBinprm bprm) except -1
cdef int64_t setup_arg_pages(LinuxBinprm bprm, int executable_stack) except? NO_ANSWER
cdef int64_t copy_to_user(UserMm mm, uint32_t addr, bytes data) except? NO_ANSWER
