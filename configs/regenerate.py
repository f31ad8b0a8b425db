#!/usr/bin/env python3
"""Write the bundled build descriptions again from the builds they describe: `make configs BUILDS=DIR`.

DIR holds a folder for each build, named as below, with its `vmlinux` and `.config`, or with `System.map` (or .xz),
`config` and a `facts.json` of struct sizes. Missing folders are named and left alone. The result is the same byte for
byte when the builds are.
"""

from __future__ import annotations

import sys
from pathlib import Path

from bootsim import files
from bootsim.errors import BootsimError
from bootsim.inputs.configwriter import render
from bootsim.inputs.profile import profile

ORIGIN = ("Linux 5.10.223 (Debian's linux-source-5.10), vexpress_defconfig{}, arm-linux-gnueabi-gcc 12.2.0 "
          "(Debian 12.2.0-14), GNU ld 2.40")
# folder of the build, file written, name, options over vexpress_defconfig
BUILDS = (
    ("b3gh", "3g-1g.yaml", "3G/1G", " with VMSPLIT_3G and HIGHMEM"),
    ("b3g", "3g-1g-nohighmem.yaml", "3G/1G-nohighmem", " with VMSPLIT_3G"),
    ("b2g", "2g-2g.yaml", "2G/2G", ""),
    ("b1g", "1g-3g.yaml", "1G/3G", " with VMSPLIT_1G and HIGHMEM"),
    ("b3go", "3g-1g-opt.yaml", "3G/1G-opt", " with VMSPLIT_3G_OPT and HIGHMEM"),
)


def first(folder: Path, *names: str) -> Path | None:
    """The first of `names` that is a file in `folder`."""
    return next((folder / name for name in names if (folder / name).is_file()), None)


def main() -> int:
    """Regenerate every description whose build is there; 0 when at least one was."""
    if len(sys.argv) != 2:
        print("usage: make configs BUILDS=DIR", file=sys.stderr)
        return 2
    written = 0
    for folder_name, file, name, options in BUILDS:
        folder = Path(sys.argv[1]) / folder_name
        image, kconfig = first(folder, "vmlinux", "System.map", "System.map.xz"), first(folder, ".config", "config")
        if image is None or kconfig is None:
            print(f"{folder}: no image and .config, {file} is left alone", file=sys.stderr)
            continue
        try:
            build = profile(image, kconfig, name=name, summary=f"vexpress_defconfig{options}",
                            origin=ORIGIN.format(options), facts_path=first(folder, "facts.json"))
        except BootsimError as error:
            print(f"{folder}: {error}", file=sys.stderr)
            return 2
        files.write(Path(__file__).parent / file, render(build))
        print(f"{file}: {build.name}, {build.provenance}")
        written += 1
    return 0 if written else 2


if __name__ == "__main__":
    sys.exit(main())
