class ContigRange:
    start: int
    end: int
    taken: bool
    cpu: int
