#!/usr/bin/env python3
"""Hold bootsim against real kernels: build them, boot them in QEMU, replay the same boots, compare. See README.md."""

from __future__ import annotations

import argparse
import os
import re
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from realboot import (
    CannotRunError,
    StepFailedError,
    UsageError,
    apt,
    debian,
    kernels,
    matrix,
    replay,
    report,
    tools,
    trees,
)
from realboot.capture import Job, capture
from realboot.replay import Result

if TYPE_CHECKING:
    from realboot.matrix import Boot, Kernel

HERE = Path(__file__).resolve().parent
EXIT_OK, EXIT_DIFFERS, EXIT_USAGE, EXIT_SKIPPED = 0, 1, 2, 77

EPILOG = """exit codes: 0 every row agrees; 1 a row differs, or a build, boot or replay failed; 2 bad usage;
77 skipped: this machine lacks something, and nothing was shown"""


def parser() -> argparse.ArgumentParser:
    """The command line."""
    p = argparse.ArgumentParser(description=__doc__, epilog=EPILOG)
    p.add_argument("--matrix", type=Path, default=HERE / "matrix.yaml", metavar="FILE", help="what to boot")
    p.add_argument("--only", action="append", default=[], metavar="PATTERN",
                   help="boots with this in their name; with * ? [ a glob for the whole name; repeatable")
    p.add_argument("--list", action="store_true", help="print the names of the boots and stop")
    p.add_argument("--kernel-src", type=Path, metavar="DIR", help="a Linux 5.10 source tree, instead of Debian's")
    p.add_argument("--mirror", metavar="URI", help="a Debian mirror that has bullseye, instead of the system's")
    p.add_argument("--build-dir", action="append", default=[], metavar="[NAME=]DIR",
                   help="a finished build in place of the matrix's kernel NAME, or of all its kernels; repeatable")
    p.add_argument("--cache", type=Path, default=default_cache(), metavar="DIR", help="default: %(default)s")
    p.add_argument("--jobs", type=int, default=os.cpu_count() or 1, metavar="N", help="compilers at a time")
    p.add_argument("--timeout", type=int, default=300, metavar="S",
                   help="give a boot up when it is so many seconds between two stages (default: 300)")
    p.add_argument("--show", type=int, default=5, metavar="N", help="differences to print for a row (default: 5)")
    p.add_argument("--recapture", action="store_true", help="boot again, whatever is kept")
    p.add_argument("--json", action="store_true", help="print one JSON object instead of the table")
    p.add_argument("--fetch", action="store_true", help="fetch the kernel source and stop")
    p.add_argument("--build", action="store_true", help="build the kernels and stop")
    p.add_argument("--install", action="store_true", help="install missing programs with apt-get")
    return p


def default_cache() -> Path:
    """Where kernels and captures are kept between runs."""
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "bootsim-conformance"


class Run:
    """One run: what it was asked for, and the builds it has so far."""

    def __init__(self, options: argparse.Namespace) -> None:
        self.options = options
        self.cache: Path = options.cache.expanduser().absolute()
        self.qemu = (0, 0)
        self._builds: dict[Kernel, kernels.Build | StepFailedError] = {}
        self._descriptions: dict[Kernel, Path | StepFailedError] = {}

    def all(self, boots: list[Boot]) -> list[Result]:
        """Boot, replay and compare everything, printing a row for each boot as it comes."""
        width = max(len(boot.name) for boot in boots)
        if not self.options.json:
            print(report.header(width), flush=True)
        results = []
        for number, boot in enumerate(boots, 1):
            result = Result(boot.name)
            try:
                self._one(boot, result, f"[{number}/{len(boots)}] {boot.name}:")
            except StepFailedError as error:
                result.error = str(error)
            results.append(result)
            if not self.options.json:
                lines = [report.line(result, width), *report.differences(result, self.options.show)]
                print("\n".join(lines), flush=True)
        if not self.options.json:
            print(report.total(results, width))
        return results

    def source(self) -> Path:
        """The kernel's source tree, fetched when none was given."""
        if self.options.kernel_src:
            given: Path = self.options.kernel_src.expanduser().absolute()
            kernels.source_version(given)
            return given
        if not (self.cache / apt.PACKAGE).is_dir():
            print(f"fetching {apt.PACKAGE} into {self.cache} (120 MB, unpacked 1.1 GB)", file=sys.stderr, flush=True)
        return apt.fetch(self.cache, self.options.mirror)

    def prepare(self, boots: list[Boot]) -> list[kernels.Build | StepFailedError]:
        """Look for all that may be missing, then build all kernels, before anything boots."""
        needed = {boot.kernel: None for boot in boots}
        absent = dict(tools.CAPTURE)
        if any(kernel.directory is None and kernel.package is None for kernel in needed):
            absent |= tools.BUILD
        tools.require(absent, install=self.options.install)
        tools.check_gdb()
        self.qemu = tools.qemu_version()
        if self.qemu != replay.MODELLED_QEMU:
            print(f"QEMU {self.qemu[0]}.{self.qemu[1]}: bootsim knows the loader of 7.2, so replays start from the "
                  "tree as the kernel received it", file=sys.stderr)
        for kernel in needed:
            self._builds[kernel] = self._build(kernel, [boot for boot in boots if boot.kernel == kernel])
        return list(self._builds.values())

    def _build(self, kernel: Kernel, boots: list[Boot]) -> kernels.Build | StepFailedError:
        if kernel.directory is not None:
            return kernels.at_hand(kernel)
        if kernel.package is not None:
            return self._debian(kernel)
        source, dtbs = self.source(), trees.dtbs(boots)
        target = kernels.folder(self.cache, kernel, source)
        try:
            found = kernels.built(target, kernel.name)
            if found is not None:
                kernels.add_dtbs(found, source, dtbs)
                return found
            progress = report.Progress(f"building kernel {kernel.name}:")
            try:
                return kernels.make(kernel, source, target, dtbs, self.options.jobs, progress)
            finally:
                print(f"kernel {kernel.name}: {progress.done():.0f} s", file=sys.stderr, flush=True)
        except StepFailedError as error:
            return StepFailedError(f"kernel {kernel.name}: {error}")

    def _debian(self, kernel: Kernel) -> kernels.Build | StepFailedError:
        assert kernel.package is not None
        target = self.cache / "kernels" / kernel.package
        if not target.is_dir():
            print(f"fetching Debian's {kernel.package} into {self.cache} (1 GB, of which 280 MB are kept)",
                  file=sys.stderr, flush=True)
        try:
            return kernels.Build(kernel.name, debian.fetch(kernel.package, target, self.options.mirror))
        except StepFailedError as error:
            return StepFailedError(f"kernel {kernel.name}: {error}")

    def _one(self, boot: Boot, result: Result, label: str) -> None:
        build = self._builds[boot.kernel]
        if isinstance(build, StepFailedError):
            raise build
        source = self.source() if boot.tree.startswith("source:") else None
        job = Job(boot, build, trees.blob(boot, build, source))
        target = self.cache / "captures" / f"{file_name(boot.name)}-{job.key(self.qemu)}"
        result.real, result.kept = target, (target / "meta.json").is_file() and not self.options.recapture
        if not result.kept:
            progress = report.Progress(label)
            try:
                capture(job, target, self.options.timeout, progress)
            finally:
                result.real_s = progress.done()
        description = self._description(boot.kernel, build)
        replay.run(job, result, description, self.cache / "replays" / file_name(boot.name), self.qemu)

    def _description(self, kernel: Kernel, build: kernels.Build) -> Path:
        if kernel not in self._descriptions:
            try:
                target = self.cache / "profiles" / f"{kernel.name}.yaml"
                self._descriptions[kernel] = replay.describe(build, kernel.described_from, target)
            except StepFailedError as error:
                self._descriptions[kernel] = error
        found = self._descriptions[kernel]
        if isinstance(found, StepFailedError):
            raise found
        return found


def file_name(name: str) -> str:
    """A boot's name as a file's."""
    return re.sub(r"[^\w.=,@-]+", "_", name)[:120]


def main(argv: Sequence[str] | None = None) -> int:
    """Run, and return the exit code."""
    options = parser().parse_args(argv)
    try:
        run = Run(options)
        if options.fetch:
            print(run.source())
            return EXIT_OK
        boots = matrix.select(matrix.load(options.matrix, options.build_dir), options.only)
        if not boots:
            raise UsageError(f"no boot is called {' or '.join(options.only)}: --list shows them all")
        if options.list:
            print("\n".join(boot.name for boot in boots))
            return EXIT_OK
        built = run.prepare(boots)
        if options.build:
            print("\n".join(str(getattr(build, "directory", build)) for build in built))
            return EXIT_DIFFERS if any(isinstance(build, StepFailedError) for build in built) else EXIT_OK
        results = run.all(boots)
    except CannotRunError as error:
        print(f"skipped: {error}", file=sys.stderr)
        return EXIT_SKIPPED
    except UsageError as error:
        print(f"error: {error}", file=sys.stderr)
        return EXIT_USAGE
    except StepFailedError as error:
        print(f"failed: {error}", file=sys.stderr)
        return EXIT_DIFFERS
    if options.json:
        print(report.as_json(results))
    return EXIT_OK if all(result.ok for result in results) else EXIT_DIFFERS


if __name__ == "__main__":
    sys.exit(main())
