"""Cases from public threads: the replay says what the real kernel said, and blames the input that made it so."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml

import bootsim
from bootsim.errors import KernelPanic
from bootsim.state.compare import log_lines

HERE = Path(__file__).parent / "public"
# how the boards were set up, where a case does not say otherwise: nothing edits the tree
SETUP = {"bootloader": "none", "dtb_addr": 0x63000000, "smp": 1, "ram": "1G"}
_BOOT = {"log", "exit", "says", "cause", "never"}


@dataclass(frozen=True)
class Boot:
    """One boot of a case; README.md says what the fields mean. `inputs` are arguments of bootsim.prepare()."""

    folder: Path
    config: str
    log: str
    exit: int
    says: list[str]
    cause: list[str]
    never: list[str]
    inputs: dict[str, Any]

    @property
    def name(self) -> str:
        return f"{self.folder.name}/{self.log}"


def load() -> list[Boot]:
    found = []
    for path in sorted(HERE.glob("*/case.yaml")):
        case = yaml.safe_load(path.read_text())
        config = case["config"]
        build = str(path.parent / config) if config.endswith(".yaml") else config
        for row in case["boots"]:
            inputs = {**SETUP, **{name: value for name, value in row.items() if name not in _BOOT}}
            found.append(Boot(path.parent, build, row["log"], row["exit"], row["says"], row["cause"],
                              row.get("never", []), inputs))  # fmt: skip
    return found


BOOTS = load()


@pytest.mark.golden
@pytest.mark.parametrize("boot", BOOTS, ids=lambda boot: boot.name)
def test_a_public_case(boot, monkeypatch):
    monkeypatch.chdir(boot.folder)
    k = bootsim.prepare("board.dts", boot.config, **boot.inputs)
    code = 0
    try:
        bootsim.run(k)
    except KernelPanic:
        code = 3
    said = "\n".join(record.text for record in k.log.records if record.kernel)
    real, mine = log_lines((boot.folder / boot.log).read_text()), log_lines(said)
    if not real[-1].startswith("Memory: "):  # a kernel that died: the last words count, too
        assert code == 3
    assert mine[: len(real)] == real
    assert len(mine) == len(real) or real[-1].startswith("Memory: ")
    assert code == boot.exit
    causes = "\n".join(record.text for record in k.log.records if record.tells_cause())
    assert [line for line in boot.says if line not in real] == []
    assert [words for words in boot.cause if words not in causes] == []
    assert [words for words in boot.never if words in causes] == []
    assert bool(causes) == bool(boot.cause), causes


def test_seven_dropped_regions_have_seven_numbers():
    (boot,) = [boot for boot in BOOTS if boot.folder.name == "20-more-than-64-regions"]
    k = bootsim.boot(boot.folder / "board.dts", boot.config, **boot.inputs)
    numbers = [r.fields["n"] for r in k.log.records if "of /reserved-memory, the kernel keeps" in r.text]
    assert numbers == list(range(65, 72))


def test_every_file_belongs_to_a_case():
    for folder in HERE.iterdir():
        named = {"board.dts", "case.yaml"} | {boot.log for boot in BOOTS if boot.folder == folder}
        named |= {Path(boot.config).name for boot in BOOTS if boot.folder == folder and boot.config.endswith(".yaml")}
        assert {path.name for path in folder.iterdir()} == named
