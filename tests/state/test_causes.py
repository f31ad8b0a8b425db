"""Fourteen decisions alone and in pairs: every effect has the decisions that make it, and one decision is one root.

What makes an effect is worked out here from boots of all combinations, out of the kernel's own numbers.
`make causes` (BOOTSIM_ALL_PAIRS=1) takes all 91 pairs, a minute's work; without it each decision comes in one of them.
"""

from __future__ import annotations

import itertools
import os
from pathlib import Path

import pytest

from bootsim.inputs.configfile import load_build
from bootsim.inputs.devicetree import load_tree
from bootsim.state.decisions import Inputs
from bootsim.state.diff import Difference
from bootsim.state.replay import Replay
from bootsim.state.roots import Roots, is_root
from bootsim.state.side import from_inputs

BOARD = """/dts-v1/;
/ {
	#address-cells = <1>;
	#size-cells = <1>;
	model = "board";
	compatible = "arm,vexpress";
	chosen { };
	cpus {
		#address-cells = <1>;
		#size-cells = <0>;
		cpu@0 { device_type = "cpu"; compatible = "arm,cortex-a9"; reg = <0>; };
		cpu@1 { device_type = "cpu"; compatible = "arm,cortex-a9"; reg = <1>; };
	};
	memory@60000000 { device_type = "memory"; reg = <0x60000000 0x40000000>; };
	reserved-memory {
		#address-cells = <1>;
		#size-cells = <1>;
		ranges;
		dsp@70000000 { reg = <0x70000000 0x1000000>; };
		old@74000000 { reg = <0x74000000 0x100000>; };
		buf@76000000 { reg = <0x76000000 0x400000>; };
		map@78000000 { reg = <0x78000000 0x400000>; };
	};
};
"""
# A decision: what it does to the source, to the words of the command line, to options, to CONFIG_ symbols; its root.
EDITS = {
    "vmalloc": ("word", "vmalloc=400M", "cmdline:vmalloc"),
    "cma": ("word", "cma=64M", "cmdline:cma"),
    "mem": ("word", "mem=900M", "cmdline:mem"),
    "memory": ("source", ("<0x60000000 0x40000000>", "<0x60000000 0x30000000>"), "dtb:/memory@60000000:reg"),
    "added": ("source", ("\t\tdsp@", "\t\tnew@7a000000 { reg = <0x7a000000 0x300000>; };\n\t\tdsp@"),
              "dtb:/reserved-memory/new@7a000000"),
    "removed": ("source", ("\t\told@74000000 { reg = <0x74000000 0x100000>; };\n", ""),
                "dtb:/reserved-memory/old@74000000"),
    "resized": ("source", ("<0x70000000 0x1000000>", "<0x70000000 0x1800000>"),
                "dtb:/reserved-memory/dsp@70000000:reg"),
    "moved": ("source", ("buf@76000000 { reg = <0x76000000", "buf@77000000 { reg = <0x77000000"),
              "dtb:/reserved-memory/buf@76000000"),
    "no-map": ("source", ("<0x78000000 0x400000>;", "<0x78000000 0x400000>; no-map;"),
               "dtb:/reserved-memory/map@78000000:no-map"),
    "dtb": ("option", ("dtb_addr", 0x6A000000), "option:dtb-addr"),
    "hash": ("word", "dhash_entries=4096", "cmdline:dhash_entries"),
    "log": ("word", "log_buf_len=1M", "cmdline:log_buf_len"),
    "shift": ("config", {"LOG_BUF_SHIFT": 18}, "CONFIG_LOG_BUF_SHIFT"),
    "split": ("build", "2G/2G", "CONFIG_PAGE_OFFSET"),
}  # fmt: skip
BUILD = "3G/1G-nohighmem"  # the build that 2G/2G is another split of
PAIRS = list(itertools.combinations(EDITS, 2))
NEXT = [pair for n, pair in enumerate(zip(EDITS, [*EDITS][3:] + [*EDITS][:3], strict=True)) if n % 2 == 0]
SHOWN = PAIRS if os.environ.get("BOOTSIM_ALL_PAIRS") else NEXT


@pytest.fixture(scope="module")
def boot(tmp_path_factory):
    folder, made = tmp_path_factory.mktemp("boards"), {}

    def side(*names):
        key = frozenset(names)
        if key not in made:
            made[key] = from_inputs("+".join(names) or "board", inputs(folder, key))
        return made[key]

    return side


def inputs(folder: Path, names):
    source, words, options, config, build = BOARD, ["console=ttyAMA0"], {}, {}, BUILD
    for name, (kind, value, _) in (EDITS | MORE).items():
        if name not in names:
            continue
        if kind == "source":
            assert value[0] in source
            source = source.replace(*value)
        elif kind == "word":
            words.append(value)
        elif kind == "option":
            options[value[0]] = value[1]
        elif kind == "config":
            config |= value
        else:
            build = value
    path = folder / f"{'-'.join(sorted(names)) or 'board'}.dts"
    path.write_text(source)
    built = load_build(build)
    return Inputs(load_tree(path), built.replace(config=built.config.replace(**config)),
                  {**options, "cmdline": " ".join(words)})  # fmt: skip


@pytest.mark.parametrize("name", EDITS)
def test_a_decision_alone_is_one_root_and_makes_everything(boot, name):
    difference = Difference(boot(), boot(name))
    assert [root.name for root in difference.roots if root.name != "build:image"] == [EDITS[name][2]]
    assert difference.effects
    assert difference.unexplained == []


@pytest.mark.parametrize("pair", SHOWN, ids="-".join)
def test_a_pair_has_the_causes_that_all_four_boots_show(boot, pair):
    a, one, other, b = boot(), boot(pair[0]), boot(pair[1]), boot(*pair)
    difference = Difference(a, b)
    names = [root.name for root in difference.roots if root.name != "build:image"]
    assert sorted(names) == sorted(EDITS[name][2] for name in pair)
    assert difference.unexplained == []
    assert all(effect.settled for effect in difference.effects)
    found = {effect.what: effect for effect in difference.effects if effect.part == "fact"}
    for fact in {*(f.name for f in a.facts), *(f.name for f in b.facts)}:
        values = [None if (f := side.facts.get(fact)) is None else f.value for side in (a, one, other, b)]
        if values[0] != values[3]:
            roots = {difference.roots[n].name for n in found[fact].roots} - {"build:image"}
            # the image of the other split differs a little: with it, fewer boots are enough to compare
            if "split" not in pair:
                assert roots == expected(values, [EDITS[name][2] for name in pair]), fact
        else:
            assert fact not in found


def expected(values, roots):
    """The roots of a change, of its values in the four boots: neither, the first, the second, both."""
    _a, one, other, b = values
    alone = {root for root, value in zip(roots, (one, other), strict=True) if value == b}
    return alone or set(roots)


def test_highmem_lost_by_a_memory_node_is_not_vmallocs(boot):
    both = Difference(boot("highmem"), boot("highmem", "vmalloc", "memory"))
    memory = next(effect for effect in both.effects if effect.id == "fact:memory.total_size")
    assert [both.roots[n].name for n in memory.roots] == ["dtb:/memory@60000000:reg"]


def test_hash_entries_are_the_words_of_the_command_line(boot):
    difference = Difference(boot(), boot("hash", "cma"))
    effect = next(effect for effect in difference.effects if effect.id == "fact:hash.Dentry cache.entries")
    assert [difference.roots[n].name for n in effect.roots] == ["cmdline:dhash_entries"]


# What else moves facts: its kind of edit, and the edit.
MORE = {
    "highmem": ("build", "3G/1G", ""),
    "smp": ("option", ("smp", 1), ""),
    "kernelcore": ("word", "kernelcore=128M", ""),
    "ihash": ("word", "ihash_entries=4096", ""),
    "no cma": ("word", "cma=0", ""),
    "one cpu": ("source", ('\t\tcpu@1 { device_type = "cpu"; compatible = "arm,cortex-a9"; reg = <1>; };\n', ""), ""),
    "zone dma": ("config", {"ZONE_DMA": True}, ""),
    "max order": ("config", {"FORCE_MAX_ZONEORDER": 13}, ""),
    "load": ("option", ("load_addr", 0x68008000), ""),
    "pool": ("source", ("<0x76000000 0x400000>;",
                        '<0x76000000 0x400000>; reusable; compatible = "shared-dma-pool";'), ""),
    "top": ("source", ("<0x74000000 0x100000>", "<0x74000000 0x100000>, <0x8f700000 0x10000>"), ""),
    "no-map top": ("source", ("<0x78000000 0x400000>;", "<0x8f800000 0x400000>; no-map;"), ""),
}  # fmt: skip


@pytest.mark.parametrize("name", [*EDITS, *MORE])
def test_a_fact_that_moved_has_an_input_that_moved(tmp_path, name):
    one, other = (booted(inputs(tmp_path, names)) for names in (frozenset(), frozenset({name})))
    for fact, version in versions_that_differ(one[0].facts, other[0].facts):
        users = [(k.facts, k.facts.history(fact)[version]) for k, _ in (one, other)
                 if version < len(k.facts.history(fact))]  # fmt: skip
        assert any(moved(i, facts, user, one, other) for facts, user in users for i in user.inputs), (fact, users)


def booted(made_from):
    replay = Replay(made_from.tree, {"config": made_from.build, **made_from.options})
    return replay.k, Roots(replay.k, replay.blob, made_from.options)


def versions_that_differ(a, b):
    for name in dict.fromkeys((*(fact.name for fact in a), *(fact.name for fact in b))):
        one, other = a.history(name), b.history(name)
        for n in range(max(len(one), len(other))):
            if [f.value for f in one[n : n + 1]] != [f.value for f in other[n : n + 1]]:
                yield name, n


def moved(name, facts, user, *boots):
    """Whether an input of a fact is one that differs, in the version that the fact was made from."""
    used = facts.as_of(name, user.serial)
    if used is None:
        places = {each for _, roots in boots for each in roots.expand(name)} if is_root(name) else set()
        return any(boots[0][1].value(each) != boots[1][1].value(each) for each in places)
    n = facts.history(name).index(used)
    one, other = ([f.value for f in k.facts.history(name)[n : n + 1]] for k, _ in boots)
    return one != other


def test_pages_at_the_end_of_boot_are_those_of_meminfo(tmp_path):
    k, _ = booted(inputs(tmp_path, frozenset({"cma", "added"})))
    assert k.facts.value("totalram_pages") == k.mm.totalram_pages
    for zone in k.zones:
        if zone["spanned"]:
            assert k.facts.value(f"zone.{zone['name']}.managed_pages") == zone["managed"]
