"""Where OMAP's registers are mapped: so far above their addresses (arch/arm/mach-omap2/iomap.h)."""

OMAP2_L4_IO_OFFSET = 0xB2000000
AM33XX_L4_WK_IO_OFFSET = 0xB5000000
