"""The OOM killer (mm/oom_kill.c).

kill    whom it chooses, what it says, who ends
reap    the memory of who is ending, taken first
"""
