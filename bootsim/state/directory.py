"""State directories, version 1: one layout for a replayed boot and for a captured one.

    boot.dtb            the tree as the kernel received it
    dmesg.log           what the console of a replayed boot showed (console.log: of a real one)
    stages.json         {stage: fields}
    <stage>.l1.bin      swapper_pg_dir, 16384 bytes; `:` in a stage's name becomes `.`
    <stage>.l2.bin      every second-level page it points to, 4096 bytes each, by address
    meta.json           what was booted

Either kind is read by the same class; only replayed ones are written here.
"""

from __future__ import annotations

import contextlib
import json
import os
from functools import cached_property
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bootsim import files
from bootsim.errors import InputError
from bootsim.reading import read_file
from bootsim.stages import STAGES
from bootsim.state import shapes
from bootsim.state.ranges import cr_of_log
from bootsim.state.shapes import ShapeError, listing, mapping, number, record, text
from bootsim.state.snapshot import L1_BYTES, L2_BYTES

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping

    from bootsim.state.snapshot import Stage

VERSION = 1
GENERATOR = "bootsim"


class StateDirectory:
    """A state directory on disk, real or replayed, read on demand.

    Everything is held against its shape when it is read: what is damaged raises InputError, which names the file and
    the field, and what is returned can be relied on. Numbers are integers, also where the files have texts.
    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self.path = Path(path)
        if not (self.path / "stages.json").is_file():
            raise InputError(f"{self.path}: not a state directory (no stages.json)")

    @cached_property
    def meta(self) -> dict[str, Any]:
        """What was booted; empty when the directory does not say."""
        path = self.path / "meta.json"
        if not path.is_file():
            return {}
        with _told(path):
            return _meta(shapes.load(path))

    @property
    def captured(self) -> bool:
        """Whether a real kernel spoke here."""
        return self.meta.get("generator") != GENERATOR

    @property
    def until(self) -> str:
        """The stage that the boot was stopped at before the kernel had its last word on memory; "" for a whole boot."""
        found = self.meta.get("end" if self.captured else "until")
        order = list(STAGES)
        return found if found in order[: order.index("free_initmem")] else ""

    @cached_property
    def inputs(self) -> dict[str, Any]:
        """What bootsim.prepare() is given, beside the tree, to boot the directory's boot again, as far as known."""
        meta = self.meta
        entry = self.stages.get("__create_page_tables", {})
        found = {
            "config": meta.get("config", meta.get("build")),
            "smp": meta.get("smp"),
            "dtb_addr": meta.get("dtb_addr", meta.get("dtb_pa", entry.get("atags"))),
            "load_addr": meta.get("load_addr", meta.get("kernel_pa")),
        }
        if not self.captured:
            found |= self._hardware
        return {name: value for name, value in found.items() if value is not None}

    @property
    def _hardware(self) -> dict[str, Any]:
        # what options said of the machine; captures use these words in senses of their own
        given = {name: value for name, value in self.meta.items() if name in _HARDWARE}
        with _told(self.path / "meta.json"):
            return record(given, "meta", {name: _HARDWARE[name] for name in given})

    @cached_property
    def stages(self) -> dict[str, dict[str, Any]]:
        """The fields of each stage, in the order of the boot.

        A captured boot may have kept no page tables where it says that it has: such a stage does not hold them.
        """
        path = self.path / "stages.json"
        with _told(path):
            found = {name: _stage(fields, name) for name, fields in shapes.load(path).items()}
        for name, fields in found.items():
            if "tables" in fields and not (self.path / _table_file(name, 1)).exists() and self.captured:
                del fields["tables"]
        return found

    @property
    def dtb(self) -> bytes:
        """The tree as the kernel received it."""
        return self._bytes("boot.dtb")

    @property
    def log(self) -> str:
        """The kernel's own lines."""
        name = "dmesg.log" if (self.path / "dmesg.log").is_file() else "console.log"
        return self._bytes(name).decode(errors="replace")

    @cached_property
    def cr(self) -> int:
        """The control register (SCTLR), by the log."""
        return cr_of_log(self.log)

    def tables(self, stage: str) -> tuple[bytes, dict[int, bytes]]:
        """The first-level table of a stage, and its second-level pages by physical address."""
        if "tables" not in self.stages.get(stage, {}):
            raise InputError(f"{self.path}: stage {stage} has no page tables")
        pages = self.stages[stage]["tables"]["l2_pages"]
        l1, l2 = self._bytes(_table_file(stage, 1)), self._bytes(_table_file(stage, 2)) if pages else b""
        if len(l1) != L1_BYTES:
            raise InputError(f"{self.path / _table_file(stage, 1)}: {len(l1)} bytes, expected {L1_BYTES}")
        if len(l2) != L2_BYTES * len(pages):
            raise InputError(
                f"{self.path / _table_file(stage, 2)}: {len(l2)} bytes, expected {len(pages)} pages of {L2_BYTES}"
            )
        return l1, {pa: l2[i * L2_BYTES : (i + 1) * L2_BYTES] for i, pa in enumerate(pages)}

    def _bytes(self, name: str) -> bytes:
        try:
            return read_file(self.path / name, "a part of a state directory")
        except OSError as error:
            raise InputError(f"{self.path / name}: {error.strerror}") from None


@contextlib.contextmanager
def _told(path: Path) -> Iterator[None]:
    try:
        yield
    except ShapeError as error:
        raise InputError(f"{path}: {error}") from None


# -------------------------------------------------------------------- the shape of the fields

_PAGES = 1 << 20  # of 4 KiB in 32 bits of address
_MAX_ORDERS, _MAX_ZONES, _MAX_CPUS = 16, 8, 64


def _pages(value: Any, at: str) -> int:
    return number(value, at, _PAGES)


def _flag(value: Any, at: str) -> bool:
    if not isinstance(value, bool):
        raise ShapeError(at, value, "true or false")
    return value


def _region(value: Any, at: str) -> list[int]:
    return listing(value, at, number, 3, 3)


def _regions(value: Any, at: str) -> list[list[int]]:
    return listing(value, at, _region)


def _memblock(value: Any, at: str) -> dict[str, Any]:
    return record(value, at, {"memory": _regions, "reserved": _regions, "current_limit": number, "bottom_up": _flag})


def _page_addresses(value: Any, at: str) -> list[int]:
    pages = listing(value, at, number)
    if any(pa % L2_BYTES for pa in pages) or any(a >= b for a, b in pairwise(pages)):
        raise ShapeError(at, value, "addresses of pages that rise")
    return pages


def _tables(value: Any, at: str) -> dict[str, Any]:
    return record(value, at, {"swapper_pg_dir": number, "l2_pages": _page_addresses})


def _pfn_lists(least: int, most: int) -> Callable[[Any, str], list[list[int]]]:
    return lambda value, at: listing(value, at, lambda each, where: listing(each, where, _pages), least, most)


def _free_area(value: Any, at: str) -> list[dict[str, Any]]:
    areas = listing(value, at, lambda each, where: record(each, where, {"nr_free": _pages, "lists": _pfn_lists(4, 6)}),
                    1, _MAX_ORDERS)  # fmt: skip
    if len({len(area["lists"]) for area in areas}) > 1:
        raise ShapeError(at, value, "as many lists at every order")
    return areas


def _pcp(value: Any, at: str) -> list[dict[str, Any]]:
    fields = {"count": number, "high": number, "batch": number}
    return listing(value, at, lambda each, where: record(each, where, fields), 0, _MAX_CPUS)


_ZONE = {"name": text, "start_pfn": _pages, "spanned": _pages, "present": _pages, "managed": _pages,
         "nr_free_pages": _pages}  # fmt: skip
_ZONE_TOO: dict[str, Callable[[Any, str], Any]] = {  # what a captured zone may lack
    "watermark": lambda value, at: listing(value, at, number, 3, 3),
    "watermark_boost": _pages,
    "lowmem_reserve": lambda value, at: listing(value, at, number, 0, _MAX_ZONES),
    "free_area": _free_area,
    "pcp": _pcp,
}


def _zone(value: Any, at: str) -> dict[str, Any]:
    also = {name: shape for name, shape in _ZONE_TOO.items() if name in mapping(value, at)}
    return record(value, at, {**_ZONE, **also})


def _zones(value: Any, at: str) -> list[dict[str, Any]]:
    found = listing(value, at, _zone, 1, _MAX_ZONES)
    kinds = {len(area["lists"]) for zone in found for area in zone.get("free_area", ())}
    if len(kinds) > 1 or len({zone["name"] for zone in found}) != len(found):
        raise ShapeError(at, value, "zones of different names and of one build")
    return found


def _areas(value: Any, at: str) -> list[dict[str, Any]]:
    fields = {"name": text, "base_pfn": _pages, "count": _pages, "order_per_bit": lambda v, a: number(v, a, 31)}
    return listing(value, at, lambda each, where: record(each, where, fields))


_STAGE: dict[str, Callable[[Any, str], Any]] = {
    "memblock": _memblock, "tables": _tables, "zones": _zones, "areas": _areas,
    "min_low_pfn": _pages, "max_low_pfn": _pages, "max_pfn": _pages, "totalram_pages": _pages,
    "lowmem_limit": number, "high_memory": number, "atags": number, "phys_offset": number,
}  # fmt: skip


def _stage(value: Any, name: str) -> dict[str, Any]:
    fields = mapping(value, name)
    return record(fields, name, {field: shape for field, shape in _STAGE.items() if field in fields})


def _ram(value: Any, at: str) -> tuple[int, int | None]:
    if not isinstance(value, list) or len(value) != 2:
        raise ShapeError(at, value, "bytes and base address")
    size, base = value
    return number(size, f"{at}[0]", 1 << 40), None if base is None else number(base, f"{at}[1]")


def _words(value: Any, at: str) -> tuple[str, ...]:
    return tuple(listing(value, at, text))


_HARDWARE: dict[str, Callable[[Any, str], Any]] = {"ram": _ram, "cpu": _words, "soc": _words, "slab": text}
_META: dict[str, Callable[[Any, str], Any]] = {
    "config": text, "build": text, "generator": text, "dtb_addr": number, "dtb_pa": number, "load_addr": number,
    "kernel_pa": number, "smp": lambda value, at: number(value, at, _MAX_CPUS),
}  # fmt: skip


def _meta(found: dict[str, Any]) -> dict[str, Any]:
    said = {name: value for name, value in found.items() if value is not None or name not in _META}
    return record(said, "meta", {name: shape for name, shape in _META.items() if name in said})


class LogOnly:
    """A boot of which only the log is known: a serial console's capture, or what dmesg printed."""

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self.path = Path(path)
        self.stages: dict[str, dict[str, Any]] = {}
        try:
            self.log = read_file(path, "a boot log").decode(errors="replace")
        except OSError as error:
            raise InputError(f"{path}: {error.strerror}") from None
        if "Linux version " not in self.log and "Booting Linux" not in self.log and "Memory: " not in self.log:
            raise InputError(f"{path}: no boot log (no line says Booting Linux, Linux version or Memory:)")


def open_boot(path: str | os.PathLike[str]) -> StateDirectory | LogOnly:
    """Open a state directory, or a plain log file. Raises InputError when it is neither."""
    return StateDirectory(path) if Path(path).is_dir() else LogOnly(path)


def open_replay(path: str | os.PathLike[str]) -> StateDirectory:
    """Open a state directory. Raises InputError, which for a log says where logs belong."""
    if Path(path).is_file():
        raise InputError(f"{path}: a file, expected the state directory of a replay; what is real comes first")
    return StateDirectory(path)


def check_target(path: str | os.PathLike[str]) -> None:
    """Raise InputError unless a state directory may be written at `path`.

    It may where nothing is, into an empty directory, and over a directory that bootsim wrote and nobody added to.
    """
    target = Path(path)
    if not target.exists() and not target.is_symlink():
        if not target.absolute().parent.is_dir():
            raise InputError(f"{target}: its parent directory does not exist")
        return
    if not target.is_dir():
        raise InputError(f"{target}: exists and is not a directory")
    names = sorted(entry.name for entry in target.iterdir())
    if not names:
        return
    if not _written_by_bootsim(target):
        raise InputError(f"{target}: not empty and not a state directory that bootsim wrote; nothing was overwritten")
    foreign = [name for name in names if not _is_ours(name)]
    if foreign:
        raise InputError(
            f"{target}: holds {foreign[0]}, which is not part of a state directory; nothing was overwritten"
        )


def write(
    path: str | os.PathLike[str], stages: Iterable[Stage], *, dtb: bytes, dmesg: str, meta: Mapping[str, Any],
    objects: Any = None,
) -> None:
    """Write a state directory at `path` in one step: a reader sees the old one, or none, or the whole new one.

    `objects`, the caches of the slab allocator, make the file objects.json.
    Raises InputError where `check_target` does, or when the file system refuses.
    """

    def fill(folder: Path) -> None:
        _fill(folder, stages, dtb, dmesg, meta)
        if objects is not None:
            (folder / "objects.json").write_text(json.dumps(objects))

    files.write_folder(path, fill, check_target)


def _fill(folder: Path, stages: Iterable[Stage], dtb: bytes, dmesg: str, meta: Mapping[str, Any]) -> None:
    fields: dict[str, dict[str, Any]] = {}
    for stage in stages:
        fields[stage.name] = stage.fields
        if stage.l1 is not None and stage.l2 is not None:
            (folder / _table_file(stage.name, 1)).write_bytes(stage.l1)
            (folder / _table_file(stage.name, 2)).write_bytes(stage.l2)
    (folder / "boot.dtb").write_bytes(dtb)
    (folder / "dmesg.log").write_bytes(dmesg.encode("utf-8", "surrogateescape"))
    (folder / "stages.json").write_text(json.dumps(fields))
    everything = {"version": VERSION, "generator": GENERATOR, **meta}
    (folder / "meta.json").write_text(json.dumps(everything, indent=1) + "\n")


def _written_by_bootsim(folder: Path) -> bool:
    try:
        meta = json.loads(read_file(folder / "meta.json", "a JSON object"))
    except (OSError, ValueError, InputError):
        return False
    return isinstance(meta, dict) and meta.get("generator") == GENERATOR and (folder / "stages.json").is_file()


def _is_ours(name: str) -> bool:
    fixed = name in ("boot.dtb", "dmesg.log", "stages.json", "meta.json", "objects.json")
    return fixed or name.endswith((".l1.bin", ".l2.bin"))


def _table_file(stage: str, level: int) -> str:
    return f"{stage.replace(':', '.')}.l{level}.bin"
