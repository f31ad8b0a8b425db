"""`bootsim profile`."""

from __future__ import annotations

from pathlib import Path

import click

_HELP = """Describe a kernel build from its own files.

    IMAGE is the vmlinux of the build directory (with DWARF data or without), or its System.map, plain or compressed
    with gzip or xz. Those of a distribution are in its package of debugging symbols. The description is YAML that
    `bootsim boot --config` reads. What could not be read from the build is worked out from the options, and the file
    says so.

    \b
    Examples:
      bootsim profile vmlinux --kconfig .config -o mine.yaml
      bootsim profile System.map --kconfig .config --facts facts.json -o mine.yaml
      bootsim profile /usr/lib/debug/boot/System.map-5.10.0-32-armmp --kconfig /boot/config-5.10.0-32-armmp
      bootsim profile System.map --kconfig .config --banner "$(dmesg | sed -n 's/.*Linux v/Linux v/p')"
      bootsim boot board.dtb --config mine.yaml

    \b
    A facts file has what a System.map has not, as JSON:
      {"sizeof": {"struct page": 32}, "strings": {"linux_banner": "Linux version ..."}}
    """

_PATH = click.Path(path_type=Path)


@click.command(help=_HELP, context_settings={"help_option_names": ["-h", "--help"]})
@click.argument("image", type=_PATH)
@click.option("--kconfig", type=_PATH, required=True, metavar="FILE", help="The .config of the same build.")
@click.option("--facts", type=_PATH, metavar="FILE", help="JSON with struct sizes and the banner.")
@click.option("--banner", metavar="TEXT", help='The first line of the boot log, "Linux version ...".')
@click.option("-o", "--output", type=_PATH, metavar="FILE", help="Write there instead of to standard output.")
@click.option("--name", metavar="NAME", help="What to call the build; by default as in 5.10.223 3G/1G.")
@click.option("--summary", metavar="TEXT", help="One line on what the build is.")
@click.option("--origin", metavar="TEXT", help="Where the build comes from: source, options, compiler.")
def profile(
    image: Path,
    kconfig: Path,
    facts: Path | None,
    banner: str | None,
    output: Path | None,
    name: str | None,
    summary: str | None,
    origin: str | None,
) -> None:
    """Write a build description."""
    from bootsim import files
    from bootsim.inputs.configfile import parse_build
    from bootsim.inputs.configwriter import render
    from bootsim.inputs.profile import profile as make_profile

    build = make_profile(image, kconfig, name=name, summary=summary, origin=origin, facts_path=facts, banner=banner)
    text = render(build)
    parse_build(text.encode(), str(output or image))  # what no boot would take is not written
    if output is None:
        click.echo(text, nl=False)
    else:
        files.write(output, text)
    if build.assumed:
        click.echo(f"bootsim: not read from the build but assumed: {', '.join(build.assumed)}", err=True)
