"""A recording of a real kernel's memory traffic: its records, and the build and tree it was made with."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bootsim.errors import InputError
from bootsim.files import told
from bootsim.linux.include.linux.page_flags import PG_lru
from bootsim.reading import read_file, read_packed

if TYPE_CHECKING:
    import os

    from bootsim.inputs.build import KernelBuild

RECORD_BYTES = 16
MOST_BYTES = 1 << 30  # of records, unpacked


class Recording:
    """The folder of a recording. `records` are rows of four words: kind, a, b, c. Raises InputError."""

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self.path = Path(path)
        if not self.path.is_dir():
            raise InputError(f"{self.path}: no folder; a recording is a folder with mmtrace.bin.xz and boot.dtb")
        if not (self.path / "meta.json").exists():
            raise InputError(f"{self.path}: no recording: expected boot.dtb, meta.json and mmtrace.bin.xz in it, or of "
                             "a process console.log and marks.json")
        self.meta = self._json("meta.json")
        data = self._data()
        if len(data) % RECORD_BYTES or not data:
            raise InputError(f"{self.path}: {len(data)} bytes of records, expected a multiple of {RECORD_BYTES}")
        self.records = memoryview(data).cast("I", shape=[len(data) // RECORD_BYTES, 4])
        self.dtb = self.path / "boot.dtb"
        if not self.dtb.is_file():
            raise InputError(f"{self.dtb}: not there; the tree that the recorded kernel received is needed")

    def _data(self) -> bytes:
        plain, packed = self.path / "mmtrace.bin", self.path / "mmtrace.bin.xz"
        if not plain.exists():
            return read_packed(packed, "a recording", MOST_BYTES)
        with told(plain):
            return read_file(plain, "a recording", MOST_BYTES)

    def _json(self, name: str) -> dict[str, Any]:
        file = self.path / name
        try:
            found = json.loads(read_file(file, "a recording's facts"))
        except (OSError, ValueError) as error:
            raise InputError(f"{file}: {getattr(error, 'strerror', None) or error}") from None
        if not isinstance(found, dict):
            raise InputError(f"{file}: expected an object")
        return found

    @property
    def last_stage(self) -> str:
        """What the recording calls the state it ended in."""
        stages = self._json("stages.json")
        return "end" if "end" in stages or not stages else list(stages)[-1]

    def cache_names(self) -> dict[int, tuple[str, int]]:
        """Name and object size of the slab caches that were there at the end, by address: records have no names."""
        if not (self.path / "trace.json").is_file():
            return {}
        try:
            return {int(cache["addr"]): (str(cache["name"]), int(cache["object_size"]))
                    for cache in self._json("trace.json")["slab_caches"]}
        except (KeyError, TypeError, ValueError):
            return {}

    def build(self) -> KernelBuild:
        """The build that meta.json names, out of builds/ in a folder above: System.map and config.

        Raises InputError when it is not there; the caller may have another description.
        """
        from bootsim.inputs.profile import profile

        name = str(self.meta.get("build", ""))
        for above in self.path.resolve().parents:
            folder = above / "builds" / name
            if name and folder.is_dir():
                break
        else:
            raise InputError(f"{self.path}: no folder builds/{name or 'NAME'} above it, expected --config")
        system_map = next((f for f in (folder / "System.map.xz", folder / "System.map") if f.is_file()), None)
        if system_map is None:
            raise InputError(f"{folder}: no System.map")
        facts = folder / "facts.json"
        return profile(system_map, folder / "config", facts_path=facts if facts.is_file() else None)

    def movable_pages(self) -> bytearray | None:
        """A byte a frame: 1 where a page may move at the stage compact_memory:entry; None without that stage.

        Those on an LRU list, without a reference beside their maps and, as a file's or shared, the page cache's.
        Raises InputError.
        """
        packed = self.path / "compact_memory.entry.pages.bin.xz"
        if not packed.is_file():
            return None
        try:
            layout = self._json("stages.json")["compact_memory:entry"]["struct_pages"]
            first = int(layout["first_pfn"])
            words = memoryview(read_packed(packed, "struct pages", MOST_BYTES)).cast("I")
        except (KeyError, TypeError, ValueError) as error:
            raise InputError(f"{packed}: expected struct pages as stages.json tells: {error}") from None
        found = bytearray(first + len(words) // 4)
        for i in range(0, len(words) - 3, 4):
            flags, refcount, mapcount = words[i], words[i + 1], words[i + 2] + 1 & 0xFFFFFFFF
            found[first + i // 4] = flags & PG_lru != 0 and refcount <= mapcount + 1
        return found

    def dtb_pa(self, ram_base: int) -> int:
        """Where the tree lay: as recorded, else where QEMU puts it, in the middle of RAM or at 128 MiB (pa)."""
        try:
            if self.meta.get("dtb_pa") is not None:
                return int(str(self.meta["dtb_pa"]), 0)
            return ram_base + min((int(str(self.meta["mem"])) << 20) // 2, 128 << 20)
        except (KeyError, ValueError):
            raise InputError(f"{self.path / 'meta.json'}: expected mem in MiB and dtb_pa as a number or null") from None
