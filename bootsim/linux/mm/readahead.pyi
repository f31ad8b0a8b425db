class FileRaState:
    start: int
    size: int
    async_size: int
    ra_pages: int
    mmap_miss: int
