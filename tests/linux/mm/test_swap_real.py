"""Random programs on a real kernel with a swap area, step by step: what each read, what was swapped in and out.

tests/golden/swap/*.log.xz are consoles of Debian's 5.10.223 (armmp) on QEMU's virt with 256 MiB. The swap area is on a
null_blk device that answers at once, and is taken for a disk in every second history: of 1 MiB, and of 4 MiB, which is
enough for the processor to have slots in store. Up to four processes, forked from one, have 24 private and 24 shared
pages. A step is the process, the call, its page, how many pages, an argument, the answer; then pswpin, pswpout,
pgmajfault, swap_ra, swap_ra_hit, and how many slots are in use.
"""

import lzma
from pathlib import Path

import pytest

import bootsim
from bootsim.lab.session import Session
from bootsim.linux.include.linux.mman import (
    MADV_COLD,
    MADV_DONTNEED,
    MADV_FREE,
    MADV_PAGEOUT,
    MADV_REMOVE,
    MADV_WILLNEED,
)
from bootsim.linux.mm.vmstat import all_vm_events
from bootsim.views import alive

LOGS = Path(__file__).parents[2] / "golden" / "swap"
PAGE, N, BASE = 4096, 24, 0x40000000
ADVICE = {2: MADV_PAGEOUT, 3: MADV_DONTNEED, 4: MADV_WILLNEED, 5: MADV_FREE, 12: MADV_REMOVE, 13: MADV_COLD}
WRITE, READ, MLOCK, FORK, EXIT, MPROTECT, SWAPOFF, MREMAP, MUNMAP, CLUSTER = 0, 1, 6, 7, 8, 9, 10, 11, 14, 15
SPARE = 0x50000000
COUNTED = ("pswpin", "pswpout", "pgmajfault", "swap_ra", "swap_ra_hit")


def address(page):
    return BASE + page // N * 0x1000000 + page % N * PAGE


class Replay:
    """The machine that does what the real one did."""

    def __init__(self, area):
        self.area = area
        k = bootsim.boot("vexpress.dts", config="3G/1G", mem="256M", cmdline="norandmaps", smp=1)
        self.lab = Session(k, alive.text)
        self.lab.names()
        self.lab.process()  # init
        self.workers = {}

    def history(self, words):
        p = self.lab.process()
        for i, flags in enumerate((0x22, 0x21)):
            assert p.mmap(BASE + (i << 24), N * PAGE, 3, flags | 0x10) == BASE + (i << 24)
        for page in range(2 * N):
            p.write(address(page), (1000 + page).to_bytes(4, "little"))
        self.workers, self.disk = {0: p}, words[3] == "1"
        assert self.lab.swapon(self.area, "/dev/nullb0", ssd=not self.disk) == 0

    def step(self, who, call, page, count, argument):
        p, at, length = self.workers[who], address(page), count * PAGE
        if call == WRITE:
            p.write(at, argument.to_bytes(4, "little"))
        elif call == READ:
            return int.from_bytes(p.read(at, 4), "little")
        elif call in ADVICE:
            return int(p.madvise(at, length, ADVICE[call]))
        elif call == MLOCK:
            return int(p.mlock(at, length)) or int(p.munlock(at, length))
        elif call == FORK:
            self.workers[argument] = p.fork()
        elif call == EXIT:
            self.workers.pop(who).exit()
        elif call == MPROTECT:
            return int(p.mprotect(at, length, 1)) or int(p.mprotect(at, length, 3))
        elif call == MREMAP:
            moved = p.mremap(at, length, length, 3, SPARE) == SPARE and p.mremap(SPARE, length, length, 3, at) == at
            return 0 if moved else -1
        elif call == MUNMAP:
            return int(p.munmap(at, length)) or int(p.mmap(at, length, 3, 0x32) != at)
        else:
            self.machine(call, argument)
        return 0

    def machine(self, call, argument):
        if call == CLUSTER:
            self.lab.sysctl("vm.page-cluster", argument)
        else:
            assert call == SWAPOFF
            assert self.lab.swapoff("/dev/nullb0") == 0
            assert self.lab.swapon(self.area, "/dev/nullb0", ssd=not self.disk) == 0

    def counted(self):
        events = all_vm_events(self.lab.k)
        return [events[name] for name in COUNTED]

    def used(self):
        return next(si for si in self.lab.k.processes.swapspace.swap_info if si.pages).inuse_pages

    def map(self, who):
        """As pagemap has it: p for pages in memory, - for none, slots where they are the same everywhere."""
        p, shown = self.workers[who], []
        for page in range(2 * N):
            word = p.pagemap(address(page))
            shown.append("p" if word >> 63 else "-" if not word >> 62 & 1 else str(word >> 5 & 0x3FFFFFF))
        return shown

    def sizes(self, who):
        """Rss, Swap, SwapPss of both mappings: kB."""
        p, found = self.workers[who], []
        for i in range(2):
            rows = str(p.smaps).split(f"{BASE + (i << 24):08x}-")[1].split("VmFlags")[0].splitlines()[1:]
            values = {row.split(":")[0]: row.split(":")[1].split()[0] for row in rows}
            found += [values[name] for name in ("Rss", "Swap", "SwapPss")]
        return found


def lines(name):
    return [line.split() for line in lzma.decompress((LOGS / f"{name}.log.xz").read_bytes()).decode().splitlines()]


def disagreements(replay, log):
    """(line, what is there, what is here) of everything that differs."""
    differ, history = [], -1
    before = replay.counted()
    for number, words in enumerate(log, 1):
        if words[:1] == ["history"]:
            history += 1
            replay.history(words)
            before = replay.counted()
        elif words[:1] == ["step"]:
            answer = replay.step(*map(int, words[1:6]))
            now = replay.counted()
            mine = [answer, *(a - b for a, b in zip(now, before, strict=True)), replay.used()]
            before = now
            real = [int(words[7]), *map(int, words[9:])]
            if mine != real:
                differ.append((number, history, words, mine))
        elif words[:1] == ["map"]:
            mine, real = replay.map(int(words[1])), words[2:]
            if not replay.disk:
                mine, real = ([slot if slot in "p-" else "s" for slot in found] for found in (mine, real))
            if mine != real:
                differ.append((number, history, words, mine))
        elif words[:1] == ["smaps"]:
            mine = replay.sizes(int(words[1]))
            if mine != words[2:8]:
                differ.append((number, history, words, mine))
        elif words[:1] == ["end"]:
            for p in replay.workers.values():
                p.exit()
            assert replay.lab.swapoff("/dev/nullb0") == 0
            replay.workers = {}
    return differ


@pytest.mark.golden
@pytest.mark.parametrize(("name", "area", "steps"), [
    ("armmp-virt-256", "1M", 3966), ("armmp-virt-256-slots", "4M", 1780)])  # fmt: skip
def test_every_step_is_the_real_kernels(name, area, steps):
    log = lines(name)
    assert sum(words[0] == "step" for words in log) == steps
    assert disagreements(Replay(area), log) == []
