"""Words of UEFI's memory map, as the kernel's log has them (drivers/firmware/efi/efi.c, include/linux/efi.h)."""

from __future__ import annotations

import struct

# EFI_MEMORY_TYPE, from 0
MEMORY_TYPES = (
    "Reserved", "Loader Code", "Loader Data", "Boot Code", "Boot Data", "Runtime Code", "Runtime Data", "Conventional",
    "Unusable", "ACPI Reclaim", "ACPI Mem NVS", "MMIO", "MMIO Port", "PAL Code", "Persistent",
)  # fmt: skip
# EFI_MEMORY_*, in the order of the log's columns
ATTRIBUTES = {
    "RUN": 1 << 63, "MR": 1 << 16, "CC": 1 << 19, "SP": 1 << 18, "NV": 1 << 15, "XP": 1 << 14, "RP": 1 << 13,
    "WP": 1 << 12, "RO": 1 << 17, "UCE": 1 << 4, "WB": 1 << 3, "WT": 1 << 2, "WC": 1 << 1, "UC": 1 << 0,
}  # fmt: skip
CACHED = ATTRIBUTES["WB"] | ATTRIBUTES["WT"] | ATTRIBUTES["WC"]  # what makes a region memory
DESCRIPTOR = struct.Struct("<IxxxxQQQQ")  # efi_memory_desc_t
