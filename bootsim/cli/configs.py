"""`bootsim configs`."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from bootsim.inputs.build import Config
    from bootsim.inputs.configfile import BundledBuild

_HELP = """List the kernel builds that come with bootsim.

    Each can be given to `bootsim boot --config` by its name. `bootsim profile` describes any other build.

    \b
    Examples:
      bootsim configs
      bootsim configs --json
      bootsim boot vexpress.dts --config 2G/2G --mem 512M
    """

_COLUMNS = ("NAME", "PAGE_OFFSET", "HIGHMEM", "CMA", "PROVENANCE", "SUMMARY")


@click.command(help=_HELP, context_settings={"help_option_names": ["-h", "--help"]})
@click.option("--json", "as_json", is_flag=True, help="Print JSON: a list of objects.")
def configs(as_json: bool) -> None:
    """List the bundled builds."""
    from bootsim.inputs.configfile import bundled_builds

    builds = list(bundled_builds())
    click.echo(_as_json(builds) if as_json else _as_table(builds))


def _as_json(builds: list[BundledBuild]) -> str:
    return json.dumps(
        [
            {
                "name": build.name,
                "page_offset": build.config.PAGE_OFFSET,
                "highmem": build.config.HIGHMEM,
                "cma": _cma(build.config),
                "provenance": build.provenance,
                "summary": build.summary,
                "origin": build.origin,
                "file": str(path),
            }
            for path, build in builds
        ],
        indent=2,
        ensure_ascii=False,
    )


def _as_table(builds: list[BundledBuild]) -> str:
    rows = [_COLUMNS]
    for _, build in builds:
        config = build.config
        highmem = "yes" if config.HIGHMEM else "no"
        rows.append((build.name, f"{config.PAGE_OFFSET:#010x}", highmem, _cma(config), build.provenance, build.summary))
    widths = [max(len(row[column]) for row in rows) for column in range(len(_COLUMNS))]
    lines = ("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)) for row in rows)
    return "\n".join(line.rstrip() for line in lines)


# How much memory the default CMA area asks for.
def _cma(config: Config) -> str:
    size, percentage = f"{config.CMA_SIZE_MBYTES} MiB", f"{config.CMA_SIZE_PERCENTAGE} %"
    if not config.DMA_CMA:
        return "no"
    if config.CMA_SIZE_SEL_MIN or config.CMA_SIZE_SEL_MAX:
        return f"{'least' if config.CMA_SIZE_SEL_MIN else 'most'} of {size}, {percentage}"
    return percentage if config.CMA_SIZE_SEL_PERCENTAGE else size
