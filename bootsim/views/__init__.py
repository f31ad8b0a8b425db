"""Text of a boot: the log as dmesg shows it, one event a line, and the layout of the virtual address space."""
