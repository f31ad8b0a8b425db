class SwapScan:
    nr_swap_pages: int
    total_swap_pages: int
