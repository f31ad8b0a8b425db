"""The size of a page: 4 KiB on 32-bit ARM (arch/arm/include/asm/page.h)."""

PAGE_SHIFT = 12
PAGE_SIZE = 1 << PAGE_SHIFT
