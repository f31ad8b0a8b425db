"""What a boot is made from, what was decided otherwise for another, and the boots between the two.

A decision is one thing that a person does: a change of the tree, a word of the command line, an option, a CONFIG_
symbol, another kernel image. What follows by itself (the size of the blob, where the loader puts things, symbols that
move with PAGE_OFFSET) is none.

    decisions = Decisions(a, b)
    decisions.between({0, 2})       the boot `a` with two of its decisions as in `b`

Half of a kernel image is not made: its symbols, sizes and banner change together.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any, NamedTuple

from bootsim.errors import InputError
from bootsim.inputs.buildcheck import problems
from bootsim.inputs.configfile import load_build
from bootsim.inputs.devicetree import load_tree
from bootsim.inputs.edits import Edit, add_node, apply, set_property, spare_bytes, with_spare
from bootsim.inputs.slabchoice import with_slab
from bootsim.inputs.tree import Tree
from bootsim.inputs.treediff import NOT_GIVEN, SPARE, TreeChange, changed, spare_change, tree_changes
from bootsim.sizes import parse_number
from bootsim.state.quantities import ram_text, size_text
from bootsim.state.words import Words

if TYPE_CHECKING:
    import os
    from collections.abc import Collection, Iterator, Mapping

    from bootsim.inputs.build import Config, KernelBuild, Values

# Symbols that Kconfig makes one choice of, or that follow from another: one decision, named after the first.
_CHOICES = (
    ("PAGE_OFFSET", "VMSPLIT_3G", "VMSPLIT_3G_OPT", "VMSPLIT_2G", "VMSPLIT_1G"),
    ("SLUB", "SLAB", "SLOB"),
    ("FLATMEM", "SPARSEMEM", "FLAT_NODE_MEM_MAP", "SPARSEMEM_EXTREME"),
    ("CMA_SIZE_SEL_MBYTES", "CMA_SIZE_SEL_PERCENTAGE", "CMA_SIZE_SEL_MIN", "CMA_SIZE_SEL_MAX"),
    ("SMP", "NR_CPUS", "SMP_ON_UP"),
    ("HIGHMEM", "HIGHPTE"),
    ("CMA", "DMA_CMA"),
    ("CMDLINE_FROM_BOOTLOADER", "CMDLINE_EXTEND", "CMDLINE_FORCE"),
)
DEFAULT_BUILD = "3G/1G"
_OPTIONS = ("mem", "smp", "cpu", "soc", "bootloader", "uboot", "atags", "efi_memmap", "dtb_addr", "load_addr", "ram",
            "initrd")  # fmt: skip
_READING = ("config", "slab", "include_dirs", "allow_outside")  # done with once tree and build are read
_IMAGE = ("banner", "machines", "assumed")
_MEMORY = ("dtb:/memory", "dtb:memory")


@dataclass(frozen=True)
class Inputs:
    """What a boot is made from: a tree, a build, and options as bootsim.prepare() takes them."""

    tree: Tree
    build: KernelBuild
    options: Mapping[str, Any] = field(default_factory=dict)

    @property
    def bootargs(self) -> str:
        """The command line that the loader hands over."""
        given = self.options.get("cmdline")
        if given is not None and (given or not str(self.options.get("bootloader")).startswith("qemu")):
            return str(given)
        return (_bootargs(self.tree) or b"").partition(b"\0")[0].decode("utf-8", "surrogateescape")

    def bootargs_place(self) -> str:
        """Where the command line was written."""
        if self.options.get("cmdline") is not None:
            return "--cmdline"
        return self.tree.where(self.tree.chosen or "/chosen", "bootargs")


def load_inputs(tree: str | os.PathLike[str] | Tree, given: Mapping[str, Any]) -> Inputs:
    """Read the tree and the build of a boot; `given` are arguments of bootsim.prepare(). Raises InputError."""
    known = {name: value for name, value in given.items() if value is not None and value != ()}
    options = {name: value for name, value in known.items() if name not in _READING}
    if isinstance(options.get("mem"), str):
        options["mem"] = parse_number(options["mem"])
    outside = bool(known.get("allow_outside"))
    loaded = tree if isinstance(tree, Tree) else load_tree(tree, known.get("include_dirs", ()), allow_outside=outside)
    build = load_build(known.get("config", DEFAULT_BUILD))
    return Inputs(loaded, with_slab(build, known["slab"]) if "slab" in known else build, options)


class Decision(NamedTuple):
    """One decision: its name as roots are named, a title for people, both values in words, both places.

    `below` is what stands under it: the parts of a summary, the symbols of an image.
    """

    name: str
    title: str
    a: str
    b: str
    where_a: str
    where_b: str
    below: tuple[str, ...] = ()

    def shown(self) -> str:
        """One line without places."""
        return f"{self.title} {self.a} -> {self.b}" if self.a else f"{self.title}: {self.b}"

    @property
    def where(self) -> str:
        """The places, once where they are the same."""
        return " | ".join(dict.fromkeys(filter(None, (self.where_a, self.where_b))))


class Decisions:
    """The decisions that differ between two boots, and the boots between."""

    def __init__(self, a: Inputs, b: Inputs) -> None:
        self.a, self.b = a, b

    def __len__(self) -> int:
        return len(self.all)

    @cached_property
    def all(self) -> tuple[Decision, ...]:
        """Every decision that differs: the build's, options, words, the tree's."""
        return tuple(decision for decision, _ in self._sorted)

    # Each decision with the names of what it is made of.
    @cached_property
    def _sorted(self) -> list[tuple[Decision, set[str]]]:
        build = self._build_decisions()
        atoms = [*build, *self._options(), *self._words_decisions(), *map(self._of_tree, self._tree)]
        placed = [atom for atom in atoms if self._placed(atom.name)]
        first = next((atom for atom in placed if atom.name.startswith(_MEMORY)), None)
        if len(placed) < 2 or first is None:
            return [(atom, {atom.name}) for atom in atoms]
        below = (*first.below, *(atom.shown() for atom in placed if atom is not first))
        one = first._replace(below=below)
        return [(one if atom is first else atom, {each.name for each in placed} if atom is first else {atom.name})
                for atom in atoms if atom is first or atom not in placed]  # fmt: skip

    # RAM that lies elsewhere takes along what the loader put there: no boot has one without the other.
    def _placed(self, name: str) -> bool:
        if name.startswith(_MEMORY):
            return self._elsewhere
        return self._elsewhere and (name in ("option:dtb-addr", "option:load-addr") or "linux,initrd-" in name)

    @cached_property
    def _elsewhere(self) -> bool:
        one, other = (min((base for base, _ in side.tree.banks), default=0) for side in (self.a, self.b))
        return one != other

    def between(self, chosen: Collection[int]) -> Inputs:
        """The first boot with the chosen decisions as in the second. Raises InputError where there is no such boot."""
        if not chosen:
            return self.a
        if len(chosen) == len(self.all):
            return self.b
        names = {name for n in chosen for name in self._sorted[n][1]}
        mixed = Inputs(self._mixed_tree(names), self._mixed_build(names), self._mixed_options(names))
        return self._with_line(mixed, names)

    # ------------------------------------------------------------ the tree

    @cached_property
    def _tree(self) -> list[TreeChange]:
        if self.a.tree.blob == self.b.tree.blob:
            return []
        line = f"dtb:{self.a.tree.chosen}:bootargs"  # its words are decisions
        changes = [change for change in tree_changes(self.a.tree, self.b.tree) if change.name != line]
        spare = spare_change(self.a.tree, self.b.tree)
        return changes if spare is None else [*changes, spare]

    def _of_tree(self, change: TreeChange) -> Decision:
        one, other = ("" if place is None else side.tree.where(*place)
                      for side, place in ((self.a, change.place_a), (self.b, change.place_b)))  # fmt: skip
        return Decision(change.name, change.name.removeprefix("dtb:"), change.a, change.b, one, other, change.parts)

    def _mixed_tree(self, names: set[str]) -> Tree:
        chosen = [change for change in self._tree if change.name in names]
        tree = changed(self.a.tree, chosen) if chosen else self.a.tree
        return with_spare(tree, spare_bytes(self.b.tree)) if any(c.name == SPARE for c in chosen) else tree

    # ------------------------------------------------------------ options and the command line

    def _options(self) -> Iterator[Decision]:
        for option in _OPTIONS:
            one, other = self.a.options.get(option), self.b.options.get(option)
            if one != other and (option != "bootloader" or {one, other} != {None, "none"}):
                flag = f"--{option.replace('_', '-')}"
                a, b = (option_shown(option, value) for value in (one, other))
                yield Decision(f"option:{flag[2:]}", flag, a, b, "", "")

    def _mixed_options(self, names: set[str]) -> dict[str, Any]:
        mixed = dict(self.a.options)
        for option in _OPTIONS:
            if f"option:{option.replace('_', '-')}" in names:
                mixed[option] = self.b.options.get(option)
        return mixed

    @cached_property
    def _words(self) -> Words:
        return Words(self.a.bootargs, self.b.bootargs)

    def _words_decisions(self) -> Iterator[Decision]:
        where_a, where_b = self.a.bootargs_place(), self.b.bootargs_place()
        for name in self._words.options():
            one, other = self._words.values(name)
            yield Decision(f"cmdline:{name}", "command line:", one, other, where_a, where_b)

    def _with_line(self, inputs: Inputs, names: set[str]) -> Inputs:
        every = {decision.name for decision in self._words_decisions()}
        if every and every <= names:
            side, line = self.b, self.b.bootargs
        else:
            side, line = self.a, self._words.line({name.removeprefix("cmdline:") for name in names})
        given = side.options.get("cmdline")
        options = {**inputs.options, "cmdline": None if given is None else line}
        tree = inputs.tree if given is not None else _with_bootargs(inputs.tree, side, line)
        return Inputs(tree, inputs.build, options)

    # ------------------------------------------------------------ the build

    @cached_property
    def _symbols(self) -> dict[str, tuple[str, ...]]:
        # the CONFIG_ symbols that differ, by the decision they belong to
        one, other = self.a.build.config, self.b.build.config
        differ = [name for name in one.KERNEL_NAMES if getattr(one, name) != getattr(other, name)]
        found: dict[str, tuple[str, ...]] = {}
        for name in differ:
            choice = next((choice for choice in _CHOICES if name in choice), (name,))
            members = tuple(each for each in choice if each in differ)
            found[members[0]] = members
        return found

    def _build_decisions(self) -> Iterator[Decision]:
        where_a, where_b = (f"build {side.build.name}" for side in (self.a, self.b))
        for name, members in self._symbols.items():
            a, b = (config_shown(side.build.config, name) for side in (self.a, self.b))
            below = tuple(f"CONFIG_{each} {config_shown(self.a.build.config, each)} -> "
                          f"{config_shown(self.b.build.config, each)}" for each in members[1:])  # fmt: skip
            yield Decision(f"CONFIG_{name}", f"CONFIG_{name}", a, b, where_a, where_b, below)
        parts = list(self._image_parts())
        if parts:
            a, b = self.a.build.name, self.b.build.name
            yield Decision("build:image", "kernel image", a, b, where_a, where_b, tuple(parts))

    def _image_parts(self) -> Iterator[str]:
        one, other = self.a.build, self.b.build
        low, high = one.config.PAGE_OFFSET, other.config.PAGE_OFFSET
        for attribute, name in one.symbols.KERNEL_NAMES.items():
            x, y = getattr(one.symbols, attribute), getattr(other.symbols, attribute)
            if (x and x - low) != (y and y - high):
                yield f"{name} {_symbol_shown(x, low)} -> {_symbol_shown(y, high)}"
        for attribute, name in one.sizeof.KERNEL_NAMES.items():
            x, y = getattr(one.sizeof, attribute), getattr(other.sizeof, attribute)
            if x != y:
                yield f"sizeof({name}) {NOT_GIVEN if x is None else x} -> {NOT_GIVEN if y is None else y}"
        if one.banner != other.banner:
            yield f"banner {one.banner} -> {other.banner}"
        if one.machines != other.machines:
            yield f"machines {len(one.machines)} -> {len(other.machines)}, not the same"

    def _mixed_build(self, names: set[str]) -> KernelBuild:
        chosen = [each for name, members in self._symbols.items() if f"CONFIG_{name}" in names for each in members]
        if not chosen and "build:image" not in names:
            return self.a.build
        config = self.a.build.config.replace(**{name: getattr(self.b.build.config, name) for name in chosen})
        image = self.b.build if "build:image" in names else self.a.build
        symbols = _moved(image.symbols, config.PAGE_OFFSET - image.config.PAGE_OFFSET)
        build = self.a.build.replace(config=config, symbols=symbols, sizeof=image.sizeof,
                                     **{name: getattr(image, name) for name in _IMAGE})  # fmt: skip
        wrong = next(problems(build), None)
        if wrong is not None:
            raise InputError(f"no such kernel: {'.'.join(wrong[0])}: {wrong[1]}")
        return build


SPLITS = {"VMSPLIT_3G": 0xC0000000, "VMSPLIT_3G_OPT": 0xB0000000, "VMSPLIT_2G": 0x80000000, "VMSPLIT_1G": 0x40000000}


def with_split(build: KernelBuild, split: str) -> KernelBuild:
    """The build with another split of the address space, one of SPLITS; its image moves along."""
    page_offset = SPLITS[split]
    config = build.config.replace(PAGE_OFFSET=page_offset, **{name: name == split for name in SPLITS})
    return build.replace(config=config, symbols=_moved(build.symbols, page_offset - build.config.PAGE_OFFSET))


def _moved(symbols: Any, by: int) -> Any:
    changes = {name: value + by for name, value in symbols.as_dict().items() if value}
    return symbols.replace(**changes) if by else symbols


def with_line(inputs: Inputs, line: str) -> Inputs:
    """The inputs with another command line, given where theirs is."""
    if inputs.options.get("cmdline") is not None:
        return Inputs(inputs.tree, inputs.build, {**inputs.options, "cmdline": line})
    return Inputs(_with_bootargs(inputs.tree, inputs, line), inputs.build, inputs.options)


def _bootargs(tree: Tree) -> bytes | None:
    return None if tree.chosen is None else tree.paths[tree.chosen].get("bootargs")


def _with_bootargs(tree: Tree, side: Inputs, line: str) -> Tree:
    # the property as that side's tree has it, unless the line is another
    value = _bootargs(side.tree) if line == side.bootargs else f"{line}\0".encode("utf-8", "surrogateescape")
    if value == _bootargs(tree):
        return tree
    if value is None:
        return apply(tree, [Edit("delete", tree.chosen or "", "bootargs")])
    new = [] if tree.chosen is not None else [add_node("/chosen")]
    return apply(tree, [*new, set_property(tree.chosen or "/chosen", "bootargs", value)])


def option_shown(option: str, value: Any) -> str:
    """The value of an option of a command, as people give it."""
    if value is None:
        return NOT_GIVEN
    if option == "mem" and isinstance(value, int):
        return size_text(value)
    if option == "ram" and isinstance(value, tuple):
        return ram_text(*value)
    if option.endswith("_addr"):
        return f"{value:#x}"
    if option == "initrd" and isinstance(value, tuple):
        path, address = value
        return str(path) if address is None else f"{path}@{address:#x}"
    return ", ".join(value) if option in ("cpu", "soc", "uboot") else str(value)


def config_shown(config: Config | Values, name: str) -> str:
    """The value of a CONFIG_ symbol as a .config has it."""
    value = getattr(config, name, None)
    if value is None:
        return NOT_GIVEN
    if isinstance(value, bool):
        return "y" if value else "n"
    if isinstance(value, str):
        return f'"{value}"'
    return f"{value:#x}" if "OFFSET" in name or "UART" in name else str(value)


def _symbol_shown(address: int, page_offset: int) -> str:
    return f"PAGE_OFFSET + {address - page_offset:#x}" if address else NOT_GIVEN
