"""Headers for machine support, arch/arm/include/asm/mach."""
