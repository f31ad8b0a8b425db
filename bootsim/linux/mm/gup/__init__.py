"""Pages faulted in on behalf of others (mm/gup.c)."""
