"""The page: the template filled in, with style, script and data inside it, and nothing fetched from anywhere."""

from __future__ import annotations

import base64
import hashlib
import json
import os
import tempfile
from importlib import resources
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bootsim import __version__
from bootsim.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Mapping

# The script's parts, in the order they run; one function around them keeps their names off the page.
SCRIPTS = ("core.js", "words.js", "lanes.js", "maps.js", "grid.js", "buddy.js", "log.js", "facts.js", "start.js")


def render(data: Mapping[str, Any], title: str) -> str:
    """Return the page for `data` (of `page_data`), as HTML."""
    from jinja2 import Environment, StrictUndefined
    from markupsafe import Markup

    style = _resource("report.css")
    script = f"(function () {{\n'use strict';\n{''.join(_resource(name) for name in SCRIPTS)}}}());\n"
    environment = Environment(autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)
    template = environment.from_string(_resource("template.html.j2"))
    return template.render(
        title=title,
        version=__version__,
        page=data,
        style=Markup(style),  # noqa: S704  both are files of this package
        script=Markup(script),  # noqa: S704
        style_hash=_hash(style),
        script_hash=_hash(script),
        data=Markup(embedded_json(data)),  # noqa: S704  escaped for its place
    )


def embedded_json(value: Any) -> str:
    """Return JSON that can stand inside a script element: nothing in it closes the element or opens a comment."""
    text = json.dumps(value, separators=(",", ":"))
    return text.replace("&", "\\u0026").replace("<", "\\u003c").replace(">", "\\u003e")


def _resource(name: str) -> str:
    return resources.files("bootsim.views.report").joinpath(name).read_text(encoding="utf-8")


def _hash(text: str) -> str:
    # what the page's content security policy knows its own script and style by
    return base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()


def check_target(path: str | os.PathLike[str]) -> Path:
    """Return where a page named `path` goes, links followed. Raises InputError when it cannot go there."""
    target = Path(os.path.realpath(path))
    if target.is_dir():
        raise InputError(f"{path}: is a directory, expected the name of a file")
    if not target.parent.is_dir():
        raise InputError(f"{path}: its parent directory does not exist")
    return target


def write(path: str | os.PathLike[str], text: str) -> None:
    """Write a file in one step: a reader sees the old one, or none, or the whole new one. Raises InputError."""
    target = check_target(path)
    if target.exists() and not target.is_file():  # a pipe or a device cannot be replaced
        target.write_text(text, encoding="utf-8")
        return
    temporary = None
    try:
        number, temporary = tempfile.mkstemp(prefix=f".{target.name}.", dir=target.parent)
        with os.fdopen(number, "w", encoding="utf-8") as file:
            file.write(text)
        Path(temporary).chmod(_mode(target))
        Path(temporary).replace(target)
    except OSError as error:
        if temporary is not None:
            Path(temporary).unlink(missing_ok=True)
        raise InputError(f"{path}: {error.strerror}") from None
    except BaseException:
        if temporary is not None:
            Path(temporary).unlink(missing_ok=True)
        raise


def _mode(target: Path) -> int:
    # a file from mkstemp() is private; give it the permissions of the one it replaces, or those open() would have
    if target.exists():
        return target.stat().st_mode & 0o777
    mask = os.umask(0)
    os.umask(mask)
    return 0o666 & ~mask
