class SkipHints:
    untold: int
    shown_wrong: int
    resets: int
