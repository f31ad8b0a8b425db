"""What is booted: matrix.yaml, expanded into one Boot for every combination."""

from __future__ import annotations

import fnmatch
import itertools
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import yaml

from realboot import UsageError

Options = tuple[tuple[str, str], ...]

# Every boot gets these. rdinit names a directory that every kernel's built-in initramfs holds: it exists, so the kernel
# looks for no root file system and goes on to free its init memory; it is no program, so it stops right after.
ALWAYS = "console=ttyAMA0 rdinit=/root panic=-1 ignore_loglevel"
# Every region as memblock takes it, in a log with room for that: the console loses lines of one that overflows.
DEBUG = "memblock=debug log_buf_len=256K"

_GROUP_KEYS = {"kernels", "trees", "mem", "cpus", "cmdline", "initrd", "dtb_addr", "debug", "machine", "cpu", "until",
               "given"}
_UNITS = {"M": 1, "G": 1024}
_TREE_KINDS = ("linux", "source", "dts", "own", "file", "qemu")


@dataclass(frozen=True)
class Kernel:
    """A kernel to build: options over a defconfig. Or one that is built already: in a directory, or Debian's own.

    `described_from` is the file that `bootsim profile` gets: vmlinux or System.map.
    """

    name: str
    base: str = "vexpress_defconfig"
    options: Options = ()
    directory: Path | None = None
    package: str | None = None
    described_from: str = "vmlinux"


@dataclass(frozen=True)
class Boot:
    """One boot. `tree` is KIND:NAME; `dtb_pa` is set when the tree goes to the kernel as it is, past QEMU's loader.

    `machine` and `cpu` are QEMU's; without them the tree decides. `until` is the stage at which the boot ends. `given`
    are words for `bootsim boot`, where the tree does not tell what QEMU's machine is.
    """

    kernel: Kernel
    tree: str
    mem_mib: int
    cpus: int = 1
    cmdline: str = ""
    initrd_bytes: int = 0
    dtb_pa: int | None = None
    debug: bool = True
    machine: str | None = None
    cpu: str | None = None
    until: str | None = None
    given: tuple[str, ...] = ()

    @property
    def name(self) -> str:
        """What tells this boot from all others, as the table shows it."""
        parts = [self.kernel.name, Path(self.tree.partition(":")[2]).stem, f"{self.mem_mib}M"]
        if self.machine is not None and not self.tree.startswith("qemu:"):
            parts.append(f"on-{self.machine}")
        if self.cpu is not None:
            parts.append(self.cpu)
        if self.cpus > 1:
            parts.append(f"{self.cpus}cpu")
        if self.initrd_bytes:
            parts.append(f"initrd={self.initrd_bytes}")
        if self.dtb_pa is not None:
            parts.append("raw")
        if not self.debug:
            parts.append("quiet")
        parts += self.cmdline.split()
        return "/".join(parts)

    @property
    def bootargs(self) -> str:
        """The whole command line."""
        return " ".join(filter(None, (ALWAYS, DEBUG if self.debug else "", self.cmdline)))


def load(path: Path, build_dirs: Sequence[str] = ()) -> list[Boot]:
    """Read a matrix file. `build_dirs` are [NAME=]DIR: builds that replace one kernel of the matrix, or all of them."""
    try:
        data = yaml.safe_load(path.read_text())
    except OSError as error:
        raise UsageError(f"{path}: {error.strerror}") from None
    except yaml.YAMLError as error:
        raise UsageError(f"{path}: {error}") from None
    try:
        return expand(data, build_dirs)
    except UsageError as error:
        raise UsageError(f"{path}: {error}") from None


def expand(data: Any, build_dirs: Sequence[str] = ()) -> list[Boot]:
    """Every boot of a matrix, each once, by kernel and then in the matrix's order."""
    if isinstance(data, dict):
        data = {key: part for key, part in data.items() if not str(key).startswith("x-")}  # parts for YAML's anchors
    _check_keys("the matrix", data, {"kernels", "boots"})
    kernels = {name: _kernel(str(name), spec or {}) for name, spec in (data.get("kernels") or {}).items()}
    named = dict(entry.split("=", 1) for entry in build_dirs if "=" in entry)
    for name, directory in named.items():
        kernels[name] = replace(kernels.get(name, Kernel(name)), directory=Path(directory).expanduser())
    unnamed = [Path(entry).expanduser() for entry in build_dirs if "=" not in entry]
    instead = [Kernel(directory.resolve().name, directory=directory) for directory in unnamed]
    boots: dict[Boot, None] = {}
    for number, group in enumerate(data.get("boots") or (), 1):
        for boot in _group(f"boots[{number}]", group, kernels, instead):
            boots[boot] = None
    if not boots:
        raise UsageError("no boots")
    order = {kernel: i for i, kernel in enumerate([*kernels.values(), *instead])}
    return sorted(boots, key=lambda boot: order[boot.kernel])


def select(boots: Iterable[Boot], patterns: Sequence[str]) -> list[Boot]:
    """The boots whose name has any of the patterns in it; a pattern with * ? or [ is a glob for the whole name."""
    return [boot for boot in boots if not patterns or any(_matches(boot.name, pattern) for pattern in patterns)]


def _matches(name: str, pattern: str) -> bool:
    return fnmatch.fnmatchcase(name, pattern) if set("*?[") & set(pattern) else pattern in name


def _kernel(name: str, spec: Any) -> Kernel:
    _check_keys(f"kernel {name}", spec, {"base", "options", "dir", "package", "described_from"})
    if not re.fullmatch(r"[\w.-]+", name):
        raise UsageError(f"kernel {name!r}: expected a name of letters, digits and - _ .")
    options = tuple((str(key).removeprefix("CONFIG_"), option(value)) for key, value in spec.get("options", {}).items())
    directory = Path(spec["dir"]).expanduser() if "dir" in spec else None
    source = spec.get("described_from", "vmlinux")
    if source not in ("vmlinux", "System.map"):
        raise UsageError(f"kernel {name}: described_from is {source!r}, expected vmlinux or System.map")
    return Kernel(name, spec.get("base", "vexpress_defconfig"), options, directory, spec.get("package"), source)


def option(value: Any) -> str:
    """A CONFIG_ value as .config has it: true is y, false is n; text that is no y, n, m or number gets quotes."""
    if isinstance(value, bool):
        return "y" if value else "n"
    text = str(value)
    plain = text in ("y", "n", "m") or re.fullmatch(r"-?\d+|0x[0-9a-fA-F]+", text)
    return text if plain else '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'


def _group(where: str, group: Any, kernels: Mapping[str, Kernel], instead: Sequence[Kernel]) -> Iterable[Boot]:
    _check_keys(where, group, _GROUP_KEYS)
    names = _list(group, "kernels", [name for name, kernel in kernels.items() if kernel.package is None])
    unknown = [str(name) for name in names if name not in kernels]
    if unknown:
        raise UsageError(f"{where}: no kernel is called {unknown[0]}; there are {', '.join(kernels)}")
    chosen = [kernels[name] for name in names]
    if instead and not any(kernel.package for kernel in chosen):  # Debian's kernel is not there to be replaced
        chosen = list(instead)
    axes = itertools.product(
        chosen,
        [_tree(where, tree) for tree in _list(group, "trees", [])],
        [mebibytes(where, size) for size in _list(group, "mem", [])],
        _list(group, "cpus", [1]),
        _list(group, "cmdline", [""]),
        [_bytes(where, size) for size in _list(group, "initrd", [0])],
    )
    raw, debug = group.get("dtb_addr"), group.get("debug", True)
    machine, cpu, until = (group.get(key) for key in ("machine", "cpu", "until"))
    if until not in (None, "mem_init"):
        raise UsageError(f"{where}: until is {until!r}, expected mem_init")
    for kernel, tree, mem_mib, cpus, cmdline, initrd in axes:
        if raw is not None and (cpus != 1 or initrd):
            raise UsageError(f"{where}: with dtb_addr there is no loader: one cpu, no initrd")
        if not 1 <= cpus <= 4:
            raise UsageError(f"{where}: cpus is {cpus}, expected 1 to 4")
        if tree.startswith("qemu:"):
            machine = tree.partition(":")[2]
        words = " ".join(str(cmdline or "").split())
        given = tuple(str(word) for word in _list(group, "given", []))
        yield Boot(kernel, tree, mem_mib, cpus, words, initrd, raw, debug, machine, cpu, until, given)


def _list(group: Mapping[str, Any], key: str, default: list[Any]) -> list[Any]:
    value = group.get(key, default)
    return list(value) if isinstance(value, list) else [value]


def _tree(where: str, tree: Any) -> str:
    kind, colon, name = str(tree).partition(":")
    if not colon or kind not in _TREE_KINDS or not name:
        raise UsageError(f"{where}: tree {tree!r}, expected {', '.join(f'{kind}:NAME' for kind in _TREE_KINDS)}")
    return str(tree)


def mebibytes(where: str, size: Any) -> int:
    """A size such as 512M or 2G in MiB."""
    found = re.fullmatch(r"(\d+)([MG])", str(size))
    if not found or not int(found[1]):
        raise UsageError(f"{where}: mem is {size!r}, expected a size such as 512M or 2G")
    return int(found[1]) * _UNITS[found[2]]


def _bytes(where: str, size: Any) -> int:
    if isinstance(size, int):
        return size
    return mebibytes(f"{where}: initrd", size) << 20


def _check_keys(where: str, mapping: Any, known: set[str]) -> None:
    if not isinstance(mapping, dict):
        raise UsageError(f"{where}: {type(mapping).__name__}, expected a mapping with {', '.join(sorted(known))}")
    extra = sorted(str(key) for key in mapping if key not in known)
    if extra:
        raise UsageError(f"{where}: unknown key {extra[0]}, expected {', '.join(sorted(known))}")
