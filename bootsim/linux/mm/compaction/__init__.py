"""Compaction: movable pages go to the end of the zone, so that free ones come together (mm/compaction.c)."""
