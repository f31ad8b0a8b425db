# Signals, and the codes that say why (asm-generic/siginfo.h).
cdef enum:
    SIGBUS = 7
    SIGKILL = 9
    SIGSEGV = 11
    SEGV_MAPERR = 1
    SEGV_ACCERR = 2
    BUS_ADRERR = 2
