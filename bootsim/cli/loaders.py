"""The value of --bootloader as click reads and completes it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click
from click.shell_completion import CompletionItem

from bootsim.inputs.bootloader import EXPECTED, LOADERS, is_loader

if TYPE_CHECKING:
    _ParamType = click.ParamType[Any]
else:
    _ParamType = click.ParamType  # not generic before click 8.2


class _Loader(_ParamType):
    name = "bootloader"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """Let a bootloader's name pass, with QEMU's machine or without."""
        if not is_loader(value):
            raise click.BadParameter(f"{value!r}, expected {EXPECTED}", ctx, param)
        return value

    def shell_complete(
        self,
        ctx: click.Context,  # noqa: ARG002
        param: click.Parameter,  # noqa: ARG002
        incomplete: str,
    ) -> list[CompletionItem]:
        """All loaders; QEMU's machines behind a colon."""
        from bootsim.inputs.bootloader.qemuboards import BOARDS

        names = [f"qemu:{board.name}" for board in BOARDS] if incomplete.startswith("qemu:") else LOADERS
        return [CompletionItem(name) for name in names if name.startswith(incomplete)]


LOADER = _Loader()
