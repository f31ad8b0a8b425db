"""The page: the template filled in, with style, script and data inside it, and nothing fetched from anywhere."""

from __future__ import annotations

import base64
import hashlib
import json
from importlib import resources
from typing import TYPE_CHECKING, Any

from bootsim.version import __version__

if TYPE_CHECKING:
    from collections.abc import Mapping

# The script's parts, in the order they run; one function around them keeps their names off the page.
SCRIPTS = ("core.js", "words.js", "lanes.js", "maps.js", "grid.js", "buddy.js", "log.js", "facts.js", "start.js")


def render(data: Mapping[str, Any], title: str) -> str:
    """Return the page for `data` (of `page_data`), as HTML."""
    from jinja2 import Environment, StrictUndefined
    from markupsafe import Markup

    style = resource("report.css")
    script = f"(function () {{\n'use strict';\n{''.join(resource(name) for name in SCRIPTS)}}}());\n"
    environment = Environment(autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)
    template = environment.from_string(resource("template.html.j2"))
    return template.render(
        title=title,
        version=__version__,
        page=data,
        style=Markup(style),  # noqa: S704  both are files of this package
        script=Markup(script),  # noqa: S704
        style_hash=content_hash(style),
        script_hash=content_hash(script),
        data=Markup(embedded_json(_for_the_script(data))),  # noqa: S704  escaped for its place
        svg=Markup,  # of this package, and escaped there
    )


def _for_the_script(data: Mapping[str, Any]) -> dict[str, Any]:
    # pictures of structures are in the page itself
    boots = [{name: part for name, part in boot.items() if name != "structures"} for boot in data["boots"]]
    return {**data, "boots": boots}


def embedded_json(value: Any) -> str:
    """Return JSON that can stand inside a script element: nothing in it closes the element or opens a comment."""
    text = json.dumps(value, separators=(",", ":"))
    return text.replace("&", "\\u0026").replace("<", "\\u003c").replace(">", "\\u003e")


def resource(name: str) -> str:
    """Return the text of a file of this package."""
    return resources.files("bootsim.views.report").joinpath(name).read_text(encoding="utf-8")


def content_hash(text: str) -> str:
    """Return what a page's content security policy knows its own style or script by."""
    return base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()
