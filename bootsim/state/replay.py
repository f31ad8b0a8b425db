"""Replays run to be compared or explained: a kernel, all its stages, its tree, its inputs."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING, Any

from bootsim.errors import KernelPanic
from bootsim.inputs.tree import Tree
from bootsim.start import prepare, run
from bootsim.state.recorder import Recorder

if TYPE_CHECKING:
    import os
    from collections.abc import Callable, Mapping

    from bootsim.linux import Kernel


class Replay:
    """A replay that ran, to its end or to its panic.

    `k` is the kernel, `recorder.stages` its snapshots, `blob` the tree as the bootloader left it, `inputs` the
    arguments of bootsim.prepare() that were given. `watch(stage, k)` is called at each stage.
    """

    def __init__(self, tree: str | os.PathLike[str] | Tree, inputs: Mapping[str, Any], *,
                 watch: Callable[[str, Kernel], None] | None = None) -> None:
        self.recorder = Recorder()
        self.tree = tree.name if isinstance(tree, Tree) else str(tree)
        self.inputs = inputs

        def observer(stage: str, k: Kernel) -> None:
            self.recorder(stage, k)
            if watch is not None:
                watch(stage, k)

        self.k = prepare(tree, observer=observer, **inputs)
        ram, pa = self.k.machine.ram, self.k.machine.dtb_pa
        self.blob = bytes(ram.read(pa, int.from_bytes(ram.read(pa + 4, 4), "big")))
        with contextlib.suppress(KernelPanic):  # k.panicked tells
            run(self.k)
