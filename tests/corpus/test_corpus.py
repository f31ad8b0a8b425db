"""Every case of the corpus: the kernel's own words, bootsim's cause, and how `bootsim boot` ends."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import pytest
import yaml
from click.testing import CliRunner

import bootsim
from bootsim.cli.group import cli
from bootsim.errors import KernelPanic
from bootsim.hw.machine import power_on
from bootsim.inputs.bootloader import Handover
from bootsim.inputs.configfile import load_build
from bootsim.inputs.devicetree import load_tree
from bootsim.linux import Kernel
from bootsim.sizes import parse_number

HERE = Path(__file__).parent
TREES = HERE / "trees"
RAM_BASE = 0x60000000
DTB_PA = 0x68000000
KERNEL_PA = 0x60008000


@dataclass(frozen=True)
class Case:
    """A row of corpus.yaml; README.md says what each field means."""

    name: str
    why: str
    tree: str
    config: str
    kernel: tuple[str, ...]
    bootsim: tuple[str, ...]
    exit: int
    cmdline: str | None = None
    ram: str | None = None


def load() -> list[Case]:
    rows = yaml.safe_load((HERE / "corpus.yaml").read_text())
    return [Case(**{**row, "kernel": tuple(row["kernel"]), "bootsim": tuple(row["bootsim"])}) for row in rows]


def prepare(case: Case) -> Kernel:
    """The kernel at its first instruction. With `ram` the board has that much, whatever the tree says."""
    path = str(TREES / f"{case.tree}.dts")
    if case.ram is None:
        return bootsim.prepare(path, case.config, cmdline=case.cmdline, dtb_addr=DTB_PA, load_addr=KERNEL_PA)
    tree = load_tree(path)
    handover = Handover(tree.blob, DTB_PA, KERNEL_PA, ((RAM_BASE, parse_number(case.ram)),))
    return Kernel(load_build(case.config), power_on(handover), where=tree.where)


def replay(case: Case) -> tuple[int, list[str], list[str]]:
    """Exit code, the kernel's lines, and bootsim's lines that name a cause or warn, without the folder of the tree."""
    k = prepare(case)
    code = 0
    try:
        bootsim.run(k)
    except KernelPanic:
        code = 3
    kernel = [line for r in k.log.records if r.kernel for line in r.text.split("\n")]
    own = [r.text.removeprefix("bootsim: ").replace(f"{TREES}/", "") for r in k.log.records
           if not r.kernel and ("cause: " in r.text or r.level <= 4)]
    return code, kernel, own


CASES = load()


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_the_replay_says_what_the_kernel_says_and_why(case):
    code, kernel, own = replay(case)
    said = iter(kernel)
    assert [line for line in case.kernel if line not in said] == [], "missing, or not in this order"
    assert own == list(case.bootsim)
    assert code == case.exit


@pytest.mark.parametrize("case", [case for case in CASES if case.ram is None][::8], ids=lambda case: case.name)
def test_the_command_line_shows_it(case, tmp_path, monkeypatch):
    monkeypatch.chdir(TREES)
    options = ["--config", case.config, "--dtb-addr", hex(DTB_PA), "--load-addr", hex(KERNEL_PA)]
    options += ["--cmdline", case.cmdline] if case.cmdline is not None else []
    result = CliRunner().invoke(cli, ["boot", f"{case.tree}.dts", *options])
    assert result.exit_code == case.exit
    shown = [line.partition("] ")[2] for line in result.output.splitlines()]
    assert [line for line in case.kernel if line not in shown] == []
    assert [line for line in case.bootsim if f"bootsim: {line}" not in shown] == []


def test_every_tree_is_used_and_every_name_is_unique():
    assert {case.tree for case in CASES} == {path.stem for path in TREES.glob("*.dts")}
    assert len({case.name for case in CASES}) == len(CASES)


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_a_complaint_names_its_cause(case):
    # with a file and line, an option, or a CONFIG_ symbol
    complains = case.exit or any(word in line for line in case.kernel
                                 for word in ("ail", "nvalid", "DETECTED", "Malformed", "limiting", "Ignoring"))
    named = [line for line in case.bootsim if ".dts:" in line or "cmdline: " in line or "CONFIG_" in line]
    assert named or not complains
