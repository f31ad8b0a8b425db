"""Error numbers, as functions of the kernel return them, negated (include/linux/errno.h, asm-generic/errno-base.h)."""

EPERM = 1
ENOENT = 2
ENXIO = 6
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
EFBIG = 27
ENOSPC = 28
ENOSYS = 38
EOVERFLOW = 75
ELIBBAD = 80
EOPNOTSUPP = 95
EALREADY = 114
