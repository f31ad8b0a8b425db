# What a request may ask (include/linux/gfp.h).

__GFP_DMA = 0x01
__GFP_HIGHMEM = 0x02
__GFP_DMA32 = 0x04
__GFP_MOVABLE = 0x08
__GFP_RECLAIMABLE = 0x10
__GFP_HIGH = 0x20
__GFP_IO = 0x40
__GFP_FS = 0x80
cdef enum:
    __GFP_ZERO = 0x100
    __GFP_NOWARN = 0x2000
    GFP_BOOT_MASK = 0x7FFFFF & ~(0xC00 | 0x40 | 0x80)  # __GFP_BITS_MASK without RECLAIM, IO, FS
__GFP_ATOMIC = 0x200
__GFP_DIRECT_RECLAIM = 0x400
__GFP_KSWAPD_RECLAIM = 0x800
__GFP_WRITE = 0x1000
__GFP_RETRY_MAYFAIL = 0x4000
__GFP_NOFAIL = 0x8000
__GFP_NORETRY = 0x10000
__GFP_MEMALLOC = 0x20000
__GFP_COMP = 0x40000
__GFP_NOMEMALLOC = 0x80000
__GFP_HARDWALL = 0x100000
__GFP_THISNODE = 0x200000
__GFP_ACCOUNT = 0x400000
__GFP_RECLAIM = __GFP_DIRECT_RECLAIM | __GFP_KSWAPD_RECLAIM
__GFP_BITS_MASK = (1 << 23) - 1

GFP_ATOMIC = __GFP_HIGH | __GFP_ATOMIC | __GFP_KSWAPD_RECLAIM
GFP_KERNEL = __GFP_RECLAIM | __GFP_IO | __GFP_FS
GFP_KERNEL_ACCOUNT = GFP_KERNEL | __GFP_ACCOUNT
GFP_NOWAIT = __GFP_KSWAPD_RECLAIM
GFP_NOIO = __GFP_RECLAIM
GFP_NOFS = __GFP_RECLAIM | __GFP_IO
GFP_USER = __GFP_RECLAIM | __GFP_IO | __GFP_FS | __GFP_HARDWALL
GFP_DMA = __GFP_DMA
GFP_DMA32 = __GFP_DMA32
GFP_HIGHUSER = GFP_USER | __GFP_HIGHMEM
GFP_HIGHUSER_MOVABLE = GFP_HIGHUSER | __GFP_MOVABLE
GFP_TRANSHUGE_LIGHT = (GFP_HIGHUSER_MOVABLE | __GFP_COMP | __GFP_NOMEMALLOC | __GFP_NOWARN) & ~__GFP_RECLAIM
GFP_TRANSHUGE = GFP_TRANSHUGE_LIGHT | __GFP_DIRECT_RECLAIM

# C enum members are invisible from Python; these are their public names.
globals()["__GFP_ZERO"] = 0x100
globals()["__GFP_NOWARN"] = 0x2000
globals()["GFP_BOOT_MASK"] = <uint32_t>GFP_BOOT_MASK
globals()["MIGRATE_UNMOVABLE"] = 0
globals()["MIGRATE_MOVABLE"] = 1
globals()["MIGRATE_RECLAIMABLE"] = 2
globals()["MIGRATE_HIGHATOMIC"] = 3
globals()["MIGRATE_CMA"] = 4
globals()["MIGRATE_ISOLATE"] = 5

# The order in which the kernel's %pGg takes names out of a mask.
_GFP_NAMES = (
    ("GFP_TRANSHUGE", GFP_TRANSHUGE), ("GFP_TRANSHUGE_LIGHT", GFP_TRANSHUGE_LIGHT),
    ("GFP_HIGHUSER_MOVABLE", GFP_HIGHUSER_MOVABLE), ("GFP_HIGHUSER", GFP_HIGHUSER), ("GFP_USER", GFP_USER),
    ("GFP_KERNEL_ACCOUNT", GFP_KERNEL_ACCOUNT), ("GFP_KERNEL", GFP_KERNEL), ("GFP_NOFS", GFP_NOFS),
    ("GFP_ATOMIC", GFP_ATOMIC), ("GFP_NOIO", GFP_NOIO), ("GFP_NOWAIT", GFP_NOWAIT), ("GFP_DMA", GFP_DMA),
    ("__GFP_HIGHMEM", __GFP_HIGHMEM), ("GFP_DMA32", GFP_DMA32), ("__GFP_HIGH", __GFP_HIGH),
    ("__GFP_ATOMIC", __GFP_ATOMIC), ("__GFP_IO", __GFP_IO), ("__GFP_FS", __GFP_FS), ("__GFP_NOWARN", 0x2000),
    ("__GFP_RETRY_MAYFAIL", __GFP_RETRY_MAYFAIL), ("__GFP_NOFAIL", __GFP_NOFAIL), ("__GFP_NORETRY", __GFP_NORETRY),
    ("__GFP_COMP", __GFP_COMP), ("__GFP_ZERO", 0x100), ("__GFP_NOMEMALLOC", __GFP_NOMEMALLOC),
    ("__GFP_MEMALLOC", __GFP_MEMALLOC), ("__GFP_HARDWALL", __GFP_HARDWALL), ("__GFP_THISNODE", __GFP_THISNODE),
    ("__GFP_RECLAIMABLE", __GFP_RECLAIMABLE), ("__GFP_MOVABLE", __GFP_MOVABLE), ("__GFP_ACCOUNT", __GFP_ACCOUNT),
    ("__GFP_WRITE", __GFP_WRITE), ("__GFP_RECLAIM", __GFP_RECLAIM), ("__GFP_DIRECT_RECLAIM", __GFP_DIRECT_RECLAIM),
    ("__GFP_KSWAPD_RECLAIM", __GFP_KSWAPD_RECLAIM),
)


def format_gfp_flags(gfp_mask):
    """The mask as the kernel's %pGg writes it.

    Source: lib/vsprintf.c format_flags()
    """
    names = []
    for name, bits in _GFP_NAMES:
        if gfp_mask & bits == bits:
            names.append(name)
            gfp_mask &= ~bits
    if gfp_mask:
        names.append(f"{gfp_mask:#x}")
    return "|".join(names)


def gfp_flags_of(text):
    """The mask of names as format_gfp_flags() writes them, "none" for no flag. Raises ValueError for another name."""
    names = dict(_GFP_NAMES)
    mask = 0
    for word in text.split("|"):
        if word == "none":
            continue
        if word not in names and not word.lower().startswith("0x"):
            raise ValueError(f"Linux 5.10 has no flag {word!r}")
        mask |= names[word] if word in names else int(word, 16)
    return mask


cdef list _zone_names(config):
    names = ["DMA"] if config.ZONE_DMA else []
    names.append("Normal")
    if config.HIGHMEM:
        names.append("HighMem")
    names.append("Movable")
    return names


cdef void _fill_gfp_zone(Pgdat *g, list names):
    # GFP_ZONE_TABLE: the highest zone each combination of the four zone bits may use
    normal = names.index("Normal")
    for bits in range(16):
        zone = normal
        if bits & __GFP_DMA and not bits & __GFP_HIGHMEM:
            zone = names.index("DMA") if "DMA" in names else normal
        elif bits & __GFP_HIGHMEM:
            zone = names.index("HighMem") if "HighMem" in names else normal
            if bits & __GFP_MOVABLE:
                zone = names.index("Movable")
        g.gfp_zone[bits] = zone
