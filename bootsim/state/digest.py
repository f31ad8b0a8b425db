"""A number that stands for a boot: equal for equal boots, on every machine and with every bootsim that replays alike.

It covers the kernel's own console lines without timestamps, and every stage: memblock, page-table words, zones, free
lists in list order, areas. Bootsim's step lines, names of files and the time do not count.
"""

from __future__ import annotations

import hashlib
import json
import re
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from bootsim.state.directory import StateDirectory
    from bootsim.state.snapshot import Stage

_STAMP = re.compile(r"^(<\d+>)?\[\s*\d+\.\d+\](\[\s*[TC]\d+\])? ", re.MULTILINE)
VERSION = b"bootsim-digest-1\n"


def parts(log: str, stages: Iterable[tuple[str, Mapping[str, Any], tuple[bytes, bytes] | None]]) -> dict[str, str]:
    """Return the digest of each part: "log", then each stage by name.

    `log` is the console's text, with or without timestamps. A stage comes with its fields, and with its first-level
    table and second-level pages where it shows them.
    """
    found = {"log": hashlib.sha256(_STAMP.sub("", log).encode("utf-8", "surrogateescape")).hexdigest()}
    for name, fields, tables in stages:
        total = hashlib.sha256(json.dumps(fields, sort_keys=True, separators=(",", ":")).encode())
        for table in tables or ():
            total.update(hashlib.sha256(table).digest())
        found[name] = total.hexdigest()
    return found


def whole(of_parts: Mapping[str, str]) -> str:
    """Return the digest of a boot from those of its parts, as 64 hexadecimal digits."""
    total = hashlib.sha256(VERSION)
    for name, digest in of_parts.items():
        total.update(f"{name}={digest}\n".encode())
    return total.hexdigest()


def of_stages(log: str, stages: Iterable[Stage]) -> dict[str, str]:
    """Return the digests of the parts of a replay."""
    return parts(log, ((s.name, s.fields, None if s.l1 is None or s.l2 is None else (s.l1, s.l2)) for s in stages))


def of_directory(directory: StateDirectory) -> dict[str, str]:
    """Return the digests of the parts of a state directory. Raises InputError where it is broken."""

    def tables(stage: str, fields: Mapping[str, Any]) -> tuple[bytes, bytes] | None:
        if "tables" not in fields:
            return None
        l1, l2 = directory.tables(stage)
        return l1, b"".join(l2[pa] for pa in sorted(l2))

    return parts(directory.log, ((name, fields, tables(name, fields)) for name, fields in directory.stages.items()))
