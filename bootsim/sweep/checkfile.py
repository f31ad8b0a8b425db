"""Files that say which boots to make and what to expect of them (`*.bootsim.yaml`), and sweeps' files.

    boots:                                  one matrix, or a list of them
      - tree: [board.dts, other.dts]        tree, config, mem, cmdline, smp: one value or a list; every combination
        config: [3G/1G, 2G/2G]              is booted. Names of files are relative to this file
        mem: [512M, 256M-1G:256M]           a size, or a range with its step
        cmdline: ["", "vmalloc=512M"]       left out (or null): the tree's own
        smp: 1                              left out: as many as the tree or the loader says
        bootloader: none                    none, qemu[:MACHINE] or u-boot; initrd: FILE[@ADDR]; dtb_addr, load_addr
        uboot: [fdt_high=0x68000000]        and atags: mem=1G@0x60000000; efi_memmap: FILE
        ram: 1G@0x60000000                  RAM really there; cpu: [cortex-a15]; soc: [scu=0x1e000000]
        include: [include]                  folders for #include
        expect: [highmem == 0]              expectations on these boots only
    expect:                                 expectations on every boot
      - lowmem >= 700M
      - that: cma.default.base in 0x80000000-0x9fffffff
        when: memory >= 1G                  only for boots of which this holds
        why: the camera's DMA reaches no further
    quantities: [zone.Normal.managed]       in a sweep's file: more columns

Errors are told as file:line:column, all of them at once.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from bootsim.errors import InputError
from bootsim.inputs.bootloader import EXPECTED, is_loader
from bootsim.sizes import parse_number, size_at
from bootsim.state.expressions import Expression, ExpressionError, parse
from bootsim.sweep.case import MAX_SMP, Case, matrix, mem_sizes
from bootsim.sweep.yamlnodes import Reader, compose, is_null

if TYPE_CHECKING:
    import yaml

_BOOT_KEYS = ("tree", "config", "mem", "cmdline", "smp", "bootloader", "dtb_addr", "load_addr", "initrd", "include",
              "ram", "cpu", "soc", "uboot", "atags", "efi_memmap")  # fmt: skip


class Expectation(NamedTuple):
    """An expression that must hold, where `when` does; it stands at file:line:column (both from 1)."""

    expression: Expression
    when: Expression | None
    why: str
    file: str
    line: int
    column: int


class Boot(NamedTuple):
    """A case and what is expected of it."""

    case: Case
    expectations: tuple[Expectation, ...]


class CheckFile(NamedTuple):
    """A whole file."""

    path: Path
    boots: tuple[Boot, ...]
    quantities: tuple[str, ...] = ()


def read(path: str | os.PathLike[str], *, what: str = "a check file") -> CheckFile:
    """Read a check file, or (`what` "a sweep's file") the boots of a sweep. Raises InputError with all its errors."""
    path = Path(path)
    root = compose(path, what)
    reader = _CheckReader(path)
    checking = what == "a check file"
    keys = ("boots", "expect") if checking else ("boots", "quantities")
    values = reader.mapping(root, what, keys, ("boots",))
    expect = reader.many(values.get("expect"), reader.expectation)
    boots = reader.many(values.get("boots"), lambda node: reader.boots(node, expect, checking=checking))
    quantities = reader.many(values.get("quantities"), lambda node: reader.text(node, "a quantity's name"))
    flat = tuple(boot for each in boots for boot in each)
    if checking and "expect" not in values:
        for node in reader.unexpected:
            reader.error(node, "boots of which nothing is expected; expected `expect` here or for all")
    reader.finish()
    return CheckFile(path, flat, tuple(quantities))


class _CheckReader(Reader):
    """One check file's reader; `unexpected` are the entries of boots without expectations of their own."""

    def __init__(self, path: Path) -> None:
        super().__init__(str(path))
        self._folder = path.parent
        self.unexpected: list[yaml.Node] = []

    def expectation(self, node: yaml.Node) -> Expectation | None:
        """An expectation: an expression, or a mapping with `that`, `when` and `why`."""
        if not hasattr(node, "value") or not isinstance(node.value, list):
            expression = self._expression(node)
            return None if expression is None else Expectation(expression, None, "", self.file, *self.place(node))
        values = self.mapping(node, "an expectation", ("that", "when", "why"), ("that",))
        if "that" not in values:
            return None
        expression = self._expression(values["that"])
        when = self._expression(values["when"]) if "when" in values else None
        why = self.text(values["why"], "a reason") if "why" in values else ""
        if expression is None:
            return None
        return Expectation(expression, when, why or "", self.file, *self.place(values["that"]))

    def _expression(self, node: yaml.Node) -> Expression | None:
        found = self.scalar(node, "an expectation such as lowmem >= 700M")
        if found is None:
            return None
        try:
            return parse(found.text)
        except ExpressionError as error:
            self.error(node, f"{found.text!r}: {error}", error.column)
            return None

    def boots(self, node: yaml.Node, common: list[Expectation], *, checking: bool) -> list[Boot]:
        """One matrix: every combination of its lists."""
        keys = (*_BOOT_KEYS, "expect") if checking else _BOOT_KEYS
        values = self.mapping(node, "boots", keys, ("tree",))
        expectations = (*common, *self.many(values.get("expect"), self.expectation))
        lists: tuple[list[Any], ...] = (
            self.many(values.get("tree"), lambda n: self._file(n, "a device tree's name")),
            self.many(values.get("config"), lambda n: self._file(n, "a kernel build's name")) or ["3G/1G"],
            [size for sizes in self.many(values.get("mem"), self._mem) for size in sizes] or [None],
            [text for (text,) in self.many(values.get("cmdline"), self._cmdline)] or [None],
            [n for (n,) in self.many(values.get("smp"), self._smp)] or [None],
        )
        common_fields = self._common(values)
        try:
            cases = matrix(*lists, **common_fields) if lists[0] else []
        except InputError as error:
            self.error(node, str(error))
            cases = []
        if cases and "expect" not in values:
            self.unexpected.append(node)
        return [Boot(case, expectations) for case in cases]

    def _common(self, values: dict[str, yaml.Node]) -> dict[str, Any]:
        fields: dict[str, Any] = {}
        if "bootloader" in values:
            loader = self.text(values["bootloader"], EXPECTED)
            if loader is not None and not is_loader(loader):
                self.error(values["bootloader"], f"{loader!r}, expected {EXPECTED}")
            fields["bootloader"] = loader
        for name in ("dtb_addr", "load_addr"):
            if name in values:
                fields[name] = self._number(values[name], "a physical address such as 0x68000000")
        if "initrd" in values:
            fields |= self._initrd(values["initrd"])
        if "ram" in values:
            fields |= self._ram(values["ram"])
        if "atags" in values:
            fields["atags"] = self.text(values["atags"], "mem=SIZE@BASE,cmdline=TEXT")
        if "efi_memmap" in values:
            fields["efi_memmap"] = self._file(values["efi_memmap"], "a log of a kernel with efi=debug")
        for name in ("cpu", "soc", "uboot"):
            if name in values:
                words = self.many(values[name], lambda n: self.text(n, "MODEL, REGISTER=VALUE or NAME=VALUE"))
                fields[name] = tuple(words)
        if "include" in values:
            folders = self.many(values["include"], lambda n: self.text(n, "a folder"))
            fields["include_dirs"] = tuple(os.path.normpath(self._folder / folder) for folder in folders)
        return fields

    def _file(self, node: yaml.Node, what: str) -> str | None:
        name = self.text(node, what)
        return None if name is None else self._beside(name)

    def _beside(self, name: str) -> str:
        # a file next to this one; any other name may be that of something bundled
        path = os.path.normpath(self._folder / name)
        return path if Path(path).exists() else name

    def _initrd(self, node: yaml.Node) -> dict[str, Any]:
        text = self.text(node, "a file, or FILE@ADDR") or ""
        name, at, tail = text.rpartition("@")
        try:
            address = parse_number(tail) if at else None
        except ValueError:
            address = None
        return {"initrd": self._beside(text if address is None else name), "initrd_addr": address}

    def _ram(self, node: yaml.Node) -> dict[str, Any]:
        found = self.scalar(node, "an amount of RAM such as 1G, or SIZE@BASE")
        if found is None:
            return {}
        try:
            amount, address = size_at(found.text)
        except ValueError as error:
            self.error(node, str(error))
            return {}
        return {"ram": amount, "ram_addr": address}

    def _mem(self, node: yaml.Node) -> list[int | None] | None:
        if is_null(node):
            return [None]
        found = self.scalar(node, "a size such as 512M")
        if found is None:
            return None
        try:
            return list(mem_sizes(found.text))
        except ValueError as error:
            self.error(node, f"{error}, expected a size such as 512M" if "number" in str(error) else str(error))
            return None

    def _cmdline(self, node: yaml.Node) -> tuple[str | None] | None:
        if is_null(node):
            return (None,)
        text = self.text(node, "a kernel command line")
        return None if text is None else (text,)

    def _smp(self, node: yaml.Node) -> tuple[int | None] | None:
        if is_null(node):
            return (None,)
        number = self._number(node, f"1 to {MAX_SMP} processors")
        if number is not None and not 1 <= number <= MAX_SMP:
            self.error(node, f"{number}, expected 1 to {MAX_SMP} processors")
            return None
        return None if number is None else (number,)

    def _number(self, node: yaml.Node, what: str) -> int | None:
        found = self.scalar(node, what)
        if found is None:
            return None
        try:
            return parse_number(found.text)
        except ValueError:
            self.error(node, f"{found.text!r}, expected {what}")
            return None
