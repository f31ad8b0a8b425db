"""Error numbers, as functions of the kernel return them, negated (include/linux/errno.h, asm-generic/errno-base.h)."""

ENOENT = 2
ENXIO = 6
EAGAIN = 11
ENOMEM = 12
EACCES = 13
EBUSY = 16
ENODEV = 19
EINVAL = 22
ENOSPC = 28
EALREADY = 114
