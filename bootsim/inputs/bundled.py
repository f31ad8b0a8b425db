"""The device trees and build descriptions that come with bootsim."""

from __future__ import annotations

from pathlib import Path

_PACKAGE = Path(__file__).resolve().parent.parent


def bundled_dir(folder: str) -> Path:
    """The folder of bundled `dts` or `configs`: bootsim/data/ once installed, the top-level folder in a checkout."""
    installed = _PACKAGE / "data" / folder
    return installed if installed.is_dir() else _PACKAGE.parent / folder
