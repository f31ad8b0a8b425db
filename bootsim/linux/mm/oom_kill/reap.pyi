# What it has is for other Cython modules alone.
