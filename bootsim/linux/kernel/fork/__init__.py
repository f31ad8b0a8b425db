"""New processes (kernel/fork.c)."""
