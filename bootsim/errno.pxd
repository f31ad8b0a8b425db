# Error numbers for Cython modules (asm-generic/errno-base.h, asm-generic/errno.h).
#
# They are signed. Beware of `-EINVAL if wrong else address`: where the other value is unsigned Cython takes the whole
# for unsigned, and no caller sees that it is below zero.
cdef enum:
    EPERM = 1
    ENOENT = 2
    ESRCH = 3
    EINTR = 4
    EIO = 5
    E2BIG = 7
    ENOEXEC = 8
    EBADF = 9
    EAGAIN = 11
    ENOMEM = 12
    EACCES = 13
    EFAULT = 14
    EBUSY = 16
    EEXIST = 17
    ENODEV = 19
    EINVAL = 22
    ETXTBSY = 26
    EOVERFLOW = 75
    ELIBBAD = 80
    EOPNOTSUPP = 95
