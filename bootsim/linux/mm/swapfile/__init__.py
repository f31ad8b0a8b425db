"""Swap areas: which slot a page gets, who uses it, and the bytes in it (mm/swapfile.c).

    SwapInfo (info)      one area: swap_map, clusters, what is free
    SwapAreas (areas)    all areas of a machine: slots taken and given back
       |
    SwapSlots            slots in store for each processor (mm/swap_slots.c)
       |
    SwapSpace            the swap cache (mm/swap_state.c): what the rest of the kernel uses

scan searches an area, count keeps more than 62 users of a slot, swapops.pxd has the forms of an entry, on has swapon().
"""
