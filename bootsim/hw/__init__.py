"""The machine under the kernel: physical memory, MMU, processors. Knows nothing of Linux."""
