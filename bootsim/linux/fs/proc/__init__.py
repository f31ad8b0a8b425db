"""The files of /proc (fs/proc)."""
