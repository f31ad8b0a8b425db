"""Whole boots against real kernels: every row of the comparison must agree."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

import bootsim
from bootsim.state import directory
from bootsim.state.compare import compare
from bootsim.state.recorder import Recorder
from bootsim.views.dmesg import console

HERE = Path(__file__).parent
ARCHIVES = sorted(path.name.removesuffix(".tar.xz") for path in HERE.glob("*.tar.xz"))


def replay(real: directory.StateDirectory, tree: str, target: Path, **inputs) -> directory.StateDirectory:
    recorder = Recorder()
    config = real.meta["config"]  # a bundled build, or one described beside the archives
    build = HERE / config if config.endswith(".yaml") else config
    k = bootsim.prepare(tree, build, smp=real.meta["smp"], cpu=real.meta.get("words_of_cpu", ()), observer=recorder,
                        **inputs)
    blob = k.machine.ram.read(k.machine.dtb_pa, int.from_bytes(k.machine.ram.read(k.machine.dtb_pa + 4, 4), "big"))
    bootsim.run(k, until=real.meta.get("until"))
    directory.write(target, recorder.stages.values(), dtb=blob, dmesg=console(k), meta={})
    return directory.StateDirectory(target)


def disagreements(real, mine):
    rows = list(compare(real, mine))
    assert sum(row.total for row in rows) > 100
    return [(row.name, f"{row.matched}/{row.total}", row.differences[:5]) for row in rows if not row.ok]


@pytest.mark.golden
@pytest.mark.parametrize("name", ARCHIVES)
def test_the_replay_agrees_with_the_real_boot(unpack, name, tmp_path):
    real = directory.StateDirectory(unpack(name, tmp_path / "real"))
    mine = replay(real, str(tmp_path / "real" / "boot.dtb"), tmp_path / "mine", dtb_addr=real.meta["dtb_addr"],
                  load_addr=real.meta["load_addr"])
    assert disagreements(real, mine) == []


@pytest.mark.golden
@pytest.mark.parametrize("name", ["a9-3gh-1024", "a9-3gh-512", "a9-3g-1024", "a9-2g-256", "a9-2g-512"])
def test_the_bundled_board_agrees_from_source_to_free_list(unpack, name, tmp_path):
    real = directory.StateDirectory(unpack(name, tmp_path / "real"))
    mine = replay(real, "vexpress.dts", tmp_path / "mine", bootloader="qemu", mem=real.meta["mem"],
                  cmdline=real.meta["cmdline"])
    assert mine.dtb == real.dtb
    assert disagreements(real, mine) == []


def test_a_wrong_replay_is_found_out(unpack, tmp_path):
    # the comparison itself: change one thing of each kind in a copy of a real boot, and each is reported
    real = directory.StateDirectory(unpack("a9-3gh-1024", tmp_path / "real"))
    other = unpack("a9-3gh-1024", tmp_path / "other")
    stages = json.loads((other / "stages.json").read_text())
    stages["setup_arch"]["memblock"]["reserved"][0][1] += 1
    stages["mem_init"]["zones"][0]["free_area"][10]["lists"][1].reverse()
    stages["free_initmem"]["zones"][0]["managed"] += 1
    (other / "stages.json").write_text(json.dumps(stages))
    (other / "console.log").write_text((other / "console.log").read_text().replace("writeback", "writethrough"))
    table = bytearray((other / "bootmem_init.entry.l1.bin").read_bytes())
    table[0x3000] ^= 4
    (other / "bootmem_init.entry.l1.bin").write_bytes(table)
    broken = {name for name, _, _ in disagreements(real, directory.StateDirectory(other))}
    assert broken == {"dmesg lines", "setup_arch memblock.reserved", "bootmem_init:entry L1 live descriptors",
                      "mem_init free-list blocks, in list order", "free_initmem managed pages gained"}
