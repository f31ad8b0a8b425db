"""Address spaces of processes: what mm/mmap.c does with VMAs."""
