"""What kswapd has to know of reclaim; a machine without processes has no more of it (mm/vmscan.c)."""


cdef class Reclaimer:
    """Reclaims nothing."""

    cdef int shrink_node(self, ScanControl *sc) except -1:
        return 0

    cdef int age_active_anon(self, ScanControl *sc) except -1:
        return 0

    cdef int snapshot_refaults(self) except -1:
        return 0
