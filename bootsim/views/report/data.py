"""A boot as plain values for the page: what `json` can write, and nothing that the page need not know.

    page = {stages, boots: [boot, boot?], ...}       boot = {steps: [step at each stage], pools of states, log, facts}

States that do not change from one stage to the next are written once: a step names the state's place in its pool.
Ranges are half-open; the page shows inclusive ends. Addresses are physical unless a name says `va`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from bootsim.escape import printable
from bootsim.linux.arch.arm.asm.domain import domain_names
from bootsim.linux.include.linux.mm_types import migratetype_names
from bootsim.page import PAGE_SIZE
from bootsim.stages import STAGES
from bootsim.state import snapshot
from bootsim.state.digest import of_stages, whole
from bootsim.state.quantities import Quantities, UnknownQuantityError, verdict
from bootsim.state.replay import Replay
from bootsim.state.side import record_lines
from bootsim.views.dmesg import console
from bootsim.views.report.facts import facts_data
from bootsim.views.report.structures import structures_data
from bootsim.views.report.tables import Meanings, Tables
from bootsim.views.report.where import where_data

if TYPE_CHECKING:
    import os
    from collections.abc import Mapping, Sequence

    from bootsim.linux import Kernel
    from bootsim.owners import Holding

# The quantities at the top of the page, with what they are called there.
OVERVIEW = (
    ("verdict", "Verdict"), ("memory", "RAM"), ("lowmem", "Lowmem"), ("highmem", "Highmem"),
    ("lowmem.limit", "Lowmem ends at (physical)"), ("high_memory", "Lowmem ends at (virtual)"),
    ("vmalloc.size", "vmalloc area"), ("cma", "CMA"), ("reserved", "Reserved in memblock"),
    ("managed_pages", "Pages given to the buddy allocator"), ("free_pages", "Free pages at the end"),
    ("warning", "Warnings in the log"), ("log.lines", "Lines of the kernel's log"), ("digest", "Digest"),
)  # fmt: skip

# The color of each kind of owner.
FAMILIES = {"image": "image", "dtb": "tree", "initrd": "tree", "node": "tree", "tree": "tree", "cma": "cma",
            "tables": "tables", "memmap": "memmap", "hash": "hash", "log": "hash", "percpu": "percpu"}  # fmt: skip


class Watch:
    """Observes one boot and keeps the whole memory state at every stage. `replay` is the boot once it has run."""

    def __init__(self, tree: str | os.PathLike[str], inputs: Mapping[str, Any]) -> None:
        self.steps: list[dict[str, Any]] = []
        self._pools: dict[str, list[Any]] = {"memblock": [], "tables": [], "zones": [], "areas": []}
        self._last: dict[str, Any] = {}
        self._tables = Tables()
        self.replay = Replay(tree, inputs, watch=self._look)
        if self.replay.k.panicked is not None:
            self._look("panic", self.replay.k)

    def _look(self, stage: str, k: Kernel) -> None:
        step: dict[str, Any] = {"stage": stage, "lines": _count_lines(k), "limit": k.mm.arm_lowmem_limit}
        step["memblock"] = self._keep("memblock", snapshot.memblock(k))
        how = k.cpus[0].cp15.sctlr, domain_names(k.build.config)
        tables = (*snapshot.page_tables(k), *how) if k.mm.init_mm.pgd_pa else None
        step["tables"] = self._keep("tables", tables)
        zones = snapshot.zones(k) if hasattr(k.mm, "pgdat") else []
        step["zones"] = self._keep("zones", [zone for zone in zones if zone["spanned"]] or None)
        step["areas"] = self._keep("areas", snapshot.cma_areas(k))
        self.steps.append(step)

    def _keep(self, part: str, state: Any) -> int | None:
        # the state's place in its pool; a state as the stage before had it is not kept again
        if state is None:
            return None
        pool = self._pools[part]
        if not pool or self._last[part] != state:
            self._last[part] = state
            pool.append(self._tables.encode(*state) if part == "tables" else state)
        return len(pool) - 1

    def data(self, name: str, meanings: Meanings) -> dict[str, Any]:
        """Return the boot as the page has it, under a name to tell it from another."""
        replay, k = self.replay, self.replay.k
        return {
            "name": name,
            "inputs": _inputs(replay),
            "verdict": verdict(k),
            "panic": _panic(k),
            "page_offset": k.build.config.PAGE_OFFSET,
            "overview": _overview(replay),
            "banks": [[base, base + size] for base, size in k.machine.banks],
            "steps": self.steps,
            "memblock": self._memblocks(),
            "tables": [self._tables.decoded(table, meanings) for table in self._pools["tables"]],
            "l2": self._tables.pages_data(meanings),
            "zones": [[_zone(zone) for zone in zones] for zones in self._pools["zones"]],
            "migrate": _migrate_types(self._pools["zones"]),
            "areas": [[_area(area) for area in areas] for areas in self._pools["areas"]],
            "layout": _layout(k),
            "where": where_data(k, printable),
            "structures": structures_data(k),
            "log": self._log(),
            **facts_data(replay),
        }

    def _memblocks(self) -> list[dict[str, Any]]:
        # each kept memblock with who held its reservations at the first stage that shows it
        held: dict[int, list[Holding]] = {}
        for step in self.steps:
            stage = None if step["stage"] == "panic" else step["stage"]
            held.setdefault(step["memblock"], self.replay.k.owners.reserved(stage))
        return [
            {
                "memory": [[base, base + size, flags] for base, size, flags in state["memory"] if size],
                "reserved": [_owned(r) for r in held[i]],
                "limit": state["current_limit"],
            }
            for i, state in enumerate(self._pools["memblock"])
        ]

    def _log(self) -> list[list[Any]]:
        # [level, the stage that follows the line, function, text, is it the kernel's]
        lines: list[list[Any]] = []
        place = 0
        levels = [record.level for record in self.replay.k.log.records for _ in record.text.split("\n")]
        for i, line in enumerate(record_lines(self.replay.k)):
            while place < len(self.steps) - 1 and self.steps[place]["lines"] <= i:
                place += 1
            lines.append([levels[i], self.steps[place]["stage"], line.func, printable(line.text), int(line.kernel)])
        return lines


def _owned(r: Holding) -> list[Any]:
    # [base, end, function that asked, color, owner]
    return [r.base, r.end, r.caller, FAMILIES.get(r.purpose.kind, "other"), printable(r.purpose.what)]


def _panic(k: Kernel) -> dict[str, str] | None:
    # the kernel's own words and the cause, "" for what is not known; each is told once
    if k.panicked is None:
        return None
    return {"reason": printable(k.panicked.reason or ""), "cause": printable(k.panicked.cause or "")}


def _count_lines(k: Kernel) -> int:
    return sum(record.text.count("\n") + 1 for record in k.log.records)


def _inputs(replay: Replay) -> list[list[str]]:
    k, given = replay.k, replay.inputs
    rows = [["Tree", replay.tree], ["Kernel build", k.build.name], ["Command line", k.boot_command_line]]
    rows += [[f"--{name.replace('_', '-')}", _option(value)] for name, value in given.items()
             if value not in (None, (), "none") and value is not False and name not in ("config", "cmdline")]
    return [[label, printable(str(text))] for label, text in rows]


def _option(value: Any) -> str:
    if isinstance(value, int) and value >= 1 << 20:
        return f"{value >> 20} MiB" if value % (1 << 20) == 0 else f"{value:#x}"
    return " ".join(map(str, value)) if isinstance(value, tuple) else str(value)


def _overview(replay: Replay) -> list[list[str]]:
    k = replay.k
    quantities = Quantities(k, lambda: whole(of_stages(console(k), replay.recorder.stages.values())))
    rows = []
    for name, label in OVERVIEW:
        try:
            value = _shown(quantities.value(name), quantities.unit(name))
        except UnknownQuantityError:
            value = "not decided"
        why = next(iter(quantities.rests_on(name)), "")
        rows.append([name, label, printable(value), why])
    return rows


def _shown(value: int | str, unit: str) -> str:
    if isinstance(value, str):
        return value
    if unit in ("pa", "va"):
        return f"{value:#010x}"
    if unit == "bytes":
        size = _size(value)
        return f"{size} ({value} bytes)" if "." in size else size
    return f"{value} ({_size(value * PAGE_SIZE)})" if unit == "pages" else str(value)


def _size(size_bytes: int) -> str:
    for shift, unit in ((20, "MiB"), (10, "KiB")):
        if size_bytes >= 1 << shift:
            whole, rest = divmod(size_bytes, 1 << shift)
            return f"{whole} {unit}" if not rest else f"{size_bytes / (1 << shift):.1f} {unit}"
    return f"{size_bytes} bytes"


def _zone(zone: dict[str, Any]) -> dict[str, Any]:
    return {
        "name": zone["name"],
        "start": zone["start_pfn"] * PAGE_SIZE,
        "end": (zone["start_pfn"] + zone["spanned"]) * PAGE_SIZE,
        **{key: zone[key] for key in ("present", "managed", "nr_free_pages", "watermark")},
        "pcp": sum(pcp["count"] for pcp in zone["pcp"]),
        "free": [area["lists"] for area in zone["free_area"]],
    }


def _migrate_types(pool: Sequence[list[dict[str, Any]]]) -> list[str]:
    if not pool:
        return []
    return list(migratetype_names(len(pool[-1][0]["free_area"][0]["lists"])))


def _area(area: dict[str, Any]) -> list[Any]:
    base = area["base_pfn"] * PAGE_SIZE
    return [printable(area["name"]), base, base + area["count"] * PAGE_SIZE]


def _layout(k: Kernel) -> list[list[Any]]:
    if not k.mm.high_memory:
        return []
    return [[region.name, region.start_va, region.end_va] for region in k.mm.layout.regions(k.build.symbols)]


def page_data(boots: Sequence[tuple[str, Watch]]) -> dict[str, Any]:
    """Return everything the page holds, of one boot or of two, each with its name."""
    from bootsim.views.report.compare import compare

    names = [stage for stage in STAGES if any(stage in _stages(watch) for _, watch in boots)]
    if any("panic" in _stages(watch) for _, watch in boots):
        names.append("panic")
    meanings = Meanings()
    data: dict[str, Any] = {
        "stages": [[name, STAGES[name].about if name in STAGES else _death(boots)] for name in names],
        "boots": [watch.data(printable(name), meanings) for name, watch in boots],
    }
    for boot in data["boots"]:
        boot["steps"] = _at_every_stage(boot["steps"], names)
        for line in boot["log"]:
            line[1] = names.index(line[1])
    data["meanings"] = meanings.data()
    if len(boots) == 2:
        data["difference"] = compare(data["boots"], [watch.replay.k for _, watch in boots])
    return data


def _death(boots: Sequence[tuple[str, Watch]]) -> str:
    dead = [printable(name) for name, watch in boots if "panic" in _stages(watch)]
    return f"the kernel of {dead[0]} has died" if len(dead) < len(boots) else "the kernel has died"


def _stages(watch: Watch) -> set[str]:
    return {step["stage"] for step in watch.steps}


def _at_every_stage(steps: list[dict[str, Any]], names: Sequence[str]) -> list[dict[str, Any]]:
    # a boot that died stays as it was at its death while the other goes on
    by_name = {step["stage"]: step for step in steps}
    found: list[dict[str, Any]] = []
    for name in names:
        step = by_name.get(name) or (steps[-1] if steps else None)
        assert step is not None
        found.append({**step, "reached": name in by_name})
    return found
