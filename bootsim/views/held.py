"""A boot held still, for views: a kernel stopped at a stage, or one stage of a state directory.

Both answer the same questions. What one of them does not hold raises `NotHeld`, which says what is missing and where.
"""

from __future__ import annotations

import struct
from functools import cached_property
from typing import TYPE_CHECKING, Any, NamedTuple

from bootsim.errors import InputError
from bootsim.state import snapshot
from bootsim.state.fitting import no_build

if TYPE_CHECKING:
    from bootsim.inputs.build import KernelBuild
    from bootsim.linux import Kernel
    from bootsim.state.directory import StateDirectory

END = "end of boot"


class NotHeld(InputError):
    """A view was asked for what a stage, or a state directory, does not have."""


class Tables(NamedTuple):
    """Page tables: where the first level lies (pa), its words, and the second-level pages by address (pa)."""

    pgd_pa: int
    l1: tuple[int, ...]
    pages: dict[int, bytes]

    def read32(self, pa: int) -> int | None:
        """Return the word at `pa` of a second-level page, or None when no first-level entry leads there."""
        page = self.pages.get(pa & ~0xFFF)
        return None if page is None else int(struct.unpack_from("<I", page, pa & 0xFFF)[0])


class Held:
    """What a view may ask of a boot that stands still at `stage`. Everything raises NotHeld where it is not known."""

    stage: str

    @property
    def build(self) -> KernelBuild:
        """The kernel build that was booted."""
        raise NotImplementedError

    @property
    def phys_offset(self) -> int:
        """Where lowmem begins (pa)."""
        raise NotImplementedError

    @property
    def high_memory(self) -> int:
        """The end of lowmem (va); 0 while the kernel has not worked it out."""
        raise NotImplementedError

    @property
    def cr(self) -> int:
        """The control register (SCTLR), which says how descriptors are to be read."""
        raise NotImplementedError

    @property
    def smp(self) -> int:
        """How many processors are up."""
        raise NotImplementedError

    def part(self, name: str) -> Any:
        """A part of the state, as `stages.json` has it: "memblock", "zones", "areas", "totalram_pages"."""
        raise NotImplementedError

    def tables(self, pgd_pa: int = 0) -> Tables:
        """The page tables of init_mm, or of the process whose first level is at `pgd_pa`."""
        raise NotImplementedError

    def kernel(self, what: str) -> Kernel:
        """The kernel itself, for what only it knows; `what` names that for the error."""
        raise NotImplementedError

    def is_live(self) -> bool:
        """Whether `kernel()` has an answer."""
        return False


class LiveState(Held):
    """A kernel of this process, stopped at `stage`. Valid until it runs on."""

    def __init__(self, k: Kernel, stage: str) -> None:
        self.stage = stage
        self._k = k

    @property
    def build(self) -> KernelBuild:
        """The kernel build that was booted."""
        return self._k.build

    @property
    def phys_offset(self) -> int:
        """Where lowmem begins (pa)."""
        return self._k.mm.phys_offset

    @property
    def high_memory(self) -> int:
        """The end of lowmem (va); 0 while the kernel has not worked it out."""
        return self._k.mm.high_memory

    @property
    def cr(self) -> int:
        """The control register (SCTLR)."""
        return self._k.cpus[0].cp15.sctlr

    @property
    def smp(self) -> int:
        """How many processors are up."""
        return self._k.nr_online_cpus

    def is_live(self) -> bool:
        """Whether `kernel()` has an answer: always."""
        return True

    def kernel(self, what: str) -> Kernel:  # noqa: ARG002
        """The kernel itself."""
        return self._k

    def part(self, name: str) -> Any:
        """A part of the state, read out of the kernel now."""
        k = self._k
        if name == "memblock":
            return snapshot.memblock(k)
        if name == "areas":
            return snapshot.cma_areas(k)
        if not hasattr(k.mm, "pgdat"):
            raise NotHeld(f"{self.stage}: no zones yet; bootmem_init() makes them")
        return snapshot.zones(k) if name == "zones" else k.mm.totalram_pages

    def tables(self, pgd_pa: int = 0) -> Tables:
        """The page tables of init_mm, or of a process, as they lie in RAM now."""
        if not self._k.mm.init_mm.pgd_pa:
            raise NotHeld(f"{self.stage}: no page tables yet")
        where, l1, l2 = snapshot.page_tables(self._k, pgd_pa)
        pages = {pa: l2[i * 4096 : (i + 1) * 4096] for i, pa in enumerate(where["l2_pages"])}
        return _tables(where["swapper_pg_dir"], l1, pages)


class DirectoryState(Held):
    """One stage of a state directory. `build` is the build it was booted with, None where nobody says."""

    def __init__(self, directory: StateDirectory, stage: str, build: KernelBuild | None) -> None:
        if stage not in directory.stages:
            raise NotHeld(f"{directory.path}: holds no stage {stage}; it holds {', '.join(directory.stages)}")
        self.stage = stage
        self._directory = directory
        self._build = build

    @property
    def build(self) -> KernelBuild:
        """The kernel build that was booted."""
        if self._build is None:
            raise NotHeld(no_build(self._directory))
        return self._build

    @cached_property
    def phys_offset(self) -> int:
        """Where lowmem begins (pa)."""
        return self._anywhere("phys_offset")

    @cached_property
    def high_memory(self) -> int:
        """The end of lowmem (va), which stays the same once it is known."""
        try:
            return self._anywhere("high_memory")
        except NotHeld:
            limit = self._anywhere("lowmem_limit")
            return limit - self.phys_offset + self.build.config.PAGE_OFFSET

    @cached_property
    def cr(self) -> int:
        """The control register (SCTLR), by the log."""
        return self._directory.cr

    @property
    def smp(self) -> int:
        """How many processors were powered, by the directory's meta.json."""
        return int(self._directory.meta.get("smp", 1))

    def part(self, name: str) -> Any:
        """A part of the state, as the directory has it."""
        if holds(self._directory, self.stage, name):
            return self._directory.stages[self.stage][name]
        if name == "areas":  # they stay as arm_memblock_init() made them; captured boots keep them at one stage only
            for stage in self._directory.stages.values():
                if "areas" in stage:
                    return stage["areas"]
        raise self.lacks(name)

    def lacks(self, name: str) -> NotHeld:
        """The error for a part that this stage has not, with the stages that have it."""
        having = [stage for stage in self._directory.stages if holds(self._directory, stage, name)]
        hint = f"it holds that at {', '.join(having)}" if having else "nor does any other stage"
        return NotHeld(f"{self._directory.path}: stage {self.stage} does not hold {name}; {hint}")

    def tables(self, pgd_pa: int = 0) -> Tables:
        """The page tables of init_mm, as the directory has them."""
        if pgd_pa:
            raise NotHeld(f"{self._directory.path}: a state directory does not hold page tables of processes")
        pgd_pa = self.part("tables")["swapper_pg_dir"]
        l1, pages = self._directory.tables(self.stage)
        return _tables(pgd_pa, l1, pages)

    def kernel(self, what: str) -> Kernel:
        """Raise: a directory has no kernel."""
        raise NotHeld(f"{self._directory.path}: a state directory does not hold {what}; boot the tree to see it")

    def _anywhere(self, name: str) -> int:
        for fields in self._directory.stages.values():
            if name in fields:
                return int(fields[name])
        raise NotHeld(f"{self._directory.path}: no stage holds {name}")


def holds(directory: StateDirectory, stage: str, part: str) -> bool:
    """Whether a stage of a directory holds a part whole: zones with their free lists."""
    fields = directory.stages[stage]
    if part == "zones":
        return all("free_area" in zone for zone in fields.get(part, [{}]))
    return part in fields


def _tables(pgd_pa: int, l1: bytes, pages: dict[int, bytes]) -> Tables:
    return Tables(pgd_pa, struct.unpack(f"<{len(l1) // 4}I", l1), pages)
