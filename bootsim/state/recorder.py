"""An observer of a boot that keeps a snapshot of every stage it passes."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bootsim.stages import STAGES
from bootsim.state.snapshot import Stage, take

if TYPE_CHECKING:
    from bootsim.linux import Kernel


class Recorder:
    """Callable as a Kernel's `observer(stage_name, k)`. `stages` holds the snapshots by name, in the boot's order."""

    def __init__(self) -> None:
        self.stages: dict[str, Stage] = {}

    def __call__(self, name: str, k: Kernel) -> None:
        """Keep the state of `k` at stage `name`; stages that no captured boot shows are passed over."""
        if name in STAGES:
            self.stages[name] = take(k, name)
