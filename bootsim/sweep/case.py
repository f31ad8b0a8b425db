"""One boot's inputs as a value that can be written, compared and sent to another process, and matrices of them."""

from __future__ import annotations

import hashlib
import itertools
from collections.abc import Callable
from dataclasses import dataclass, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bootsim.errors import InputError
from bootsim.inputs.bootloader import EXPECTED, is_loader
from bootsim.sizes import parse_number
from bootsim.state.quantities import ram_text, size_text
from bootsim.state.shapes import ShapeError, listing, mapping, number, record, text

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

MAX_CASES = 1_000_000
MIN_MEM_BYTES, MAX_MEM_BYTES = 1 << 20, 1 << 40
MAX_SMP = 32


@dataclass(frozen=True, slots=True)
class Case:
    """What one boot is made from; the fields are the arguments of bootsim.prepare(). `mem` is in bytes."""

    tree: str
    config: str = "3G/1G"
    mem: int | None = None
    cmdline: str | None = None
    smp: int | None = None
    bootloader: str = "none"
    dtb_addr: int | None = None
    load_addr: int | None = None
    initrd: str | None = None
    initrd_addr: int | None = None
    include_dirs: tuple[str, ...] = ()
    ram: int | None = None
    ram_addr: int | None = None
    cpu: tuple[str, ...] = ()
    soc: tuple[str, ...] = ()
    allow_outside: bool = False
    uboot: tuple[str, ...] = ()
    atags: str | None = None
    efi_memmap: str | None = None

    def to_json(self) -> dict[str, Any]:
        """The fields that differ from their defaults, and the tree and build, as plain values."""
        given = ((field.name, getattr(self, field.name), field.default) for field in fields(self))
        return {
            name: list(value) if isinstance(value, tuple) else value
            for name, value, default in given
            if name in ("tree", "config") or value != default
        }

    def title(self) -> str:
        """The case in one line, as people tell boots apart."""
        parts = [self.tree, self.config]
        if self.mem is not None:
            parts.append(f"mem={size_text(self.mem)}")
        if self.cmdline is not None:
            parts.append(f"cmdline={self.cmdline!r}")
        if self.smp is not None:
            parts.append(f"smp={self.smp}")
        if self.bootloader != "none":
            parts.append(f"bootloader={self.bootloader}")
        if self.initrd is not None:
            parts.append(f"initrd={self.initrd}")
        if self.ram is not None:
            parts.append(f"ram={ram_text(self.ram, self.ram_addr)}")
        for name, words in (("cpu", self.cpu), ("soc", self.soc), ("uboot", self.uboot)):
            parts += [f"{name}={word}" for word in words]
        for name, word in (("atags", self.atags), ("efi_memmap", self.efi_memmap)):
            parts += [f"{name}={word}"] if word is not None else []
        return " ".join(parts)


def from_json(data: Any, at: str = "case") -> Case:
    """The case that `to_json` wrote. Raises ShapeError for anything else."""
    shapes = {name: shape for name, shape in _SHAPES.items() if name == "tree" or name in mapping(data, at)}
    given = record(data, at, shapes)
    unknown = [name for name in given if name not in _SHAPES]
    if unknown:
        raise ShapeError(f"{at}.{unknown[0]}", given[unknown[0]], f"none but {', '.join(_SHAPES)}")
    return Case(**given)


def _or_nothing(shape: Callable[[Any, str], Any]) -> Callable[[Any, str], Any]:
    return lambda value, at: None if value is None else shape(value, at)


def _mem(value: Any, at: str) -> int:
    size = number(value, at, MAX_MEM_BYTES)
    if size < MIN_MEM_BYTES:
        raise ShapeError(at, value, "at least 1M")
    return size


def _smp(value: Any, at: str) -> int:
    count = number(value, at, MAX_SMP)
    if count < 1:
        raise ShapeError(at, value, f"1 to {MAX_SMP}")
    return count


def _texts(value: Any, at: str) -> tuple[str, ...]:
    return tuple(listing(list(value) if isinstance(value, tuple) else value, at, text))


def _flag(value: Any, at: str) -> bool:
    if not isinstance(value, bool):
        raise ShapeError(at, value, "true or false")
    return value


def _bootloader(value: Any, at: str) -> str:
    if not is_loader(value):
        raise ShapeError(at, value, EXPECTED)
    return str(value)


_SHAPES: dict[str, Callable[[Any, str], Any]] = {
    "tree": text, "config": text, "mem": _or_nothing(_mem), "cmdline": _or_nothing(text), "smp": _or_nothing(_smp),
    "bootloader": _bootloader, "dtb_addr": _or_nothing(number), "load_addr": _or_nothing(number),
    "initrd": _or_nothing(text), "initrd_addr": _or_nothing(number),
    "include_dirs": _texts, "ram": _or_nothing(_mem), "ram_addr": _or_nothing(number), "cpu": _texts, "soc": _texts,
    "allow_outside": _flag, "uboot": _texts, "atags": _or_nothing(text), "efi_memmap": _or_nothing(text),
}  # fmt: skip


def matrix(
    trees: Sequence[str],
    configs: Sequence[str] = ("3G/1G",),
    mems: Sequence[int | None] = (None,),
    cmdlines: Sequence[str | None] = (None,),
    smps: Sequence[int | None] = (None,),
    **common: Any,
) -> list[Case]:
    """Every combination, the last list varying fastest. `common` are the remaining fields. Raises InputError."""
    lists = (trees, configs, cmdlines, smps, mems)
    count = 1
    for each in lists:
        count *= len(each)
    if count > MAX_CASES:
        raise InputError(f"{count} boots, expected at most {MAX_CASES}")
    if "-" in trees:
        raise InputError("a sweep boots a tree many times: it needs a file, not standard input")
    return [
        Case(tree, config, mem, cmdline, smp, **common)
        for tree, config, cmdline, smp, mem in itertools.product(*lists)
    ]


def mem_sizes(text: str) -> list[int]:
    """The sizes, in bytes, that a text names: `512M`, or `256M-1G:64M`, both ends included. Raises ValueError."""
    span, _, step_text = text.partition(":")
    first_text, dash, last_text = span.partition("-")
    first = parse_number(first_text)
    if first < MIN_MEM_BYTES:
        raise ValueError(f"{text!r}: {first} bytes, expected at least 1M")
    if not dash:
        if step_text:
            raise ValueError(f"{text!r}: a step needs a range, as in 256M-1G:64M")
        return [first]
    if not step_text:
        raise ValueError(f"{text!r}: a range needs a step, as in 256M-1G:64M")
    last, step = parse_number(last_text), parse_number(step_text)
    if step <= 0 or last < first:
        raise ValueError(f"{text!r}: expected a range that rises, in steps above 0")
    if (last - first) // step > MAX_CASES:
        raise ValueError(f"{text!r}: {(last - first) // step + 1} sizes, expected at most {MAX_CASES}")
    return list(range(first, last + 1, step))


def fingerprints(cases: Sequence[Case]) -> Iterator[str]:
    """For each case a short hash of what its files hold, so that an old result is known from a current one.

    Files that a tree includes are not looked at.
    """
    known: dict[str, bytes] = {}
    for case in cases:
        digest = hashlib.sha256()
        for name in (case.tree, case.config, case.initrd or "", case.efi_memmap or ""):
            if name not in known:
                known[name] = _content(name)
            digest.update(known[name])
        yield digest.hexdigest()[:12]


def _content(name: str) -> bytes:
    # the name itself where it names no file that ends: bundled trees and builds, a pipe
    try:
        if Path(name).is_file():
            with Path(name).open("rb") as file:
                return hashlib.file_digest(file, "sha256").digest()
    except (OSError, ValueError):
        pass
    return hashlib.sha256(name.encode(errors="surrogateescape")).digest()
