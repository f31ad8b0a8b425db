"""The life of the allocators under a recording: what was asked for over time, what was free, and the life of a frame.

Time is the recording's own: the number of records. The replay runs in equal stretches, and is looked at after each.
"""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any, NamedTuple

from bootsim.lab import kinds
from bootsim.lab.replay import NO_PAGE

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from bootsim.lab.replay import PageReplay

STRETCHES = 160
LARGE = 9  # blocks of this order and above are large
# Kinds of records, by what is counted of them.
EVENTS = {
    "page requests": (kinds.REQUEST,), "page frees": (kinds.FREE_ONE, kinds.FREE_BLOCK),
    "objects handed out": (kinds.GET,), "objects freed": (kinds.PUT, kinds.FURTHER), "pages moved": (kinds.MOVED,),
    "kernel mappings": (kinds.RANGE, kinds.REMOVED, kinds.VMALLOC, kinds.VUNMAP, kinds.KMAP, kinds.KUNMAP,
                        kinds.KMAP_ATOMIC, kinds.KUNMAP_ATOMIC, kinds.IOREMAPPED, kinds.IOUNMAP),
}  # fmt: skip


class Biography(NamedTuple):
    """A frame: whose it was when the boot ended, and every record about it: number, in use after it, what."""

    pfn: int
    boot: str
    story: list[tuple[int, bool, str]]


class Life(NamedTuple):
    """What `follow` saw. `ends` are the records at which the stretches end; series have a value for each."""

    ends: list[int]
    events: dict[str, list[int]]
    free: dict[str, list[int]]
    large: dict[str, list[int]]
    failed: int
    compactions: list[int]
    frames: list[Biography]


def follow(replay: PageReplay, stop: int | None, frames: Sequence[int],
           progress: Callable[[int], None] | None = None) -> Life:  # fmt: skip
    """Run the replay, to a record or to its end, and tell its life; of the busiest frame when none is named."""
    end = len(replay.records) if stop is None else min(stop, len(replay.records))
    ends: list[int] = []
    zones = [zone["name"] for zone in replay.k.zones if zone["present"]]
    free: dict[str, list[int]] = {name: [] for name in zones}
    large: dict[str, list[int]] = {name: [] for name in zones}
    for stretch in range(1, STRETCHES + 1):
        replay.run(max(replay.at, end * stretch // STRETCHES), progress)
        if ends and ends[-1] >= replay.at:
            continue  # a compaction took several stretches
        ends.append(replay.at)
        for zone in replay.k.zones:
            if zone["name"] in free:
                blocks = [area["nr_free"] << order for order, area in enumerate(zone["free_area"])]
                free[zone["name"]].append(sum(blocks))
                large[zone["name"]].append(sum(blocks[LARGE:]))
    events, failed, compactions = _count(replay, ends)
    chosen = frames or _busiest(replay)
    lives = [Biography(pfn, replay.boot_of(pfn), replay.story_of(pfn)) for pfn in chosen]
    return Life(ends, events, free, large, failed, compactions, lives)


def _count(replay: PageReplay, ends: list[int]) -> tuple[dict[str, list[int]], int, list[int]]:
    rows = _rows(replay.records, replay.at)
    events: dict[str, list[int]] = {name: [] for name in EVENTS}
    start = 0
    for end in ends:
        seen = Counter(record[0] for record in rows[start:end])
        for name, of in EVENTS.items():
            events[name].append(sum(seen[kind] for kind in of))
        start = end
    failed = sum(1 for i in range(replay.at) if rows[i][0] == kinds.REQUEST and replay.answers[i, 3] == NO_PAGE)
    compactions = [i for i, record in enumerate(rows)
                   if record[0] == kinds.COMPACT and record[3] & kinds.COMPACT_ENTERED]  # fmt: skip
    return events, failed, compactions


def _rows(words: Any, count: int) -> list[list[int]]:
    rows: list[list[int]] = words[:count].tolist() if count else []
    return rows


def _busiest(replay: PageReplay) -> list[int]:
    # the frame that single pages were asked from most often
    seen = Counter(record[3] for record in _rows(replay.answers, replay.at)
                   if record[0] == kinds.REQUEST and record[2] == 0 and record[3] != NO_PAGE)
    return [pfn for pfn, _ in seen.most_common(1)]
