#!/usr/bin/env python3
"""Compile and boot every arch/arm/boot/dts/*.dts of a Linux 5.10 tree, and count how they fare. See README.md."""

from __future__ import annotations

import argparse
import json
import os
import sys
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from fnmatch import fnmatch
from pathlib import Path

from boards import CannotRunError, table
from boards.builds import older_builds, with_all_machines
from boards.census import Row, Settings, examine
from boards.equality import find_dtc

from bootsim.errors import InputError
from bootsim.inputs.configfile import load_build

HERE = Path(__file__).resolve().parent

EXIT_OK, EXIT_FAILED, EXIT_USAGE, EXIT_SKIPPED = 0, 1, 2, 77

EPILOG = """exit codes: 0 the census passes; 1 a traceback, a tree unlike dtc's, or a board that should boot and does
not; 2 bad usage; 77 skipped: there is no kernel tree"""


def parser() -> argparse.ArgumentParser:
    """The command line."""
    p = argparse.ArgumentParser(description=__doc__, epilog=EPILOG)
    p.add_argument("--kernel-src", type=Path, metavar="DIR", help="a Linux 5.10 source tree, instead of Debian's")
    p.add_argument("--mirror", metavar="URI", help="a Debian mirror that has bullseye, instead of the system's")
    p.add_argument("--only", action="append", default=[], metavar="PATTERN",
                   help="trees with this in their name; with * ? [ a glob for the whole name; repeatable")
    p.add_argument("--config", default="3G/1G", help="the kernel build for ARMv7 (default: %(default)s)")
    p.add_argument("--dtc", default="dtc", metavar="PROGRAM", help="dtc to hold blobs against (default: %(default)s)")
    p.add_argument("--no-dtc", action="store_true", help="do not hold blobs against dtc")
    p.add_argument("--cache", type=Path, default=cache("bootsim-census"), metavar="DIR", help="default: %(default)s")
    p.add_argument("--jobs", type=int, default=os.cpu_count() or 1, metavar="N", help="processes at a time")
    p.add_argument("--all", action="store_true", help="print a line for every tree")
    p.add_argument("--json", action="store_true", help="print one JSON object instead of the table")
    return p


def cache(name: str) -> Path:
    """Where something is kept between runs."""
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / name


def kernel_source(given: Path | None, mirror: str | None) -> Path:
    """The kernel's tree: the one given, else Debian's, as `make conformance` keeps it. Raises CannotRunError."""
    if given is not None:
        return given.absolute()
    sys.path.append(str(HERE.parent / "conformance"))
    try:
        import realboot
        from realboot import apt
    except ImportError:
        raise CannotRunError("no kernel tree: say KERNEL_SRC=DIR") from None
    try:
        return apt.fetch(cache("bootsim-conformance"), mirror)
    except (realboot.CannotRunError, realboot.StepFailedError, OSError) as error:
        raise CannotRunError(f"no kernel tree: {error}") from None


def trees(kernel_src: Path, patterns: Sequence[str]) -> list[Path]:
    """The .dts files that match any of `patterns`; all without one."""
    found = sorted((kernel_src / "arch/arm/boot/dts").glob("*.dts"))
    return [path for path in found if not patterns or any(_matches(path.name, pattern) for pattern in patterns)]


def _matches(name: str, pattern: str) -> bool:
    return fnmatch(name, pattern) if any(c in pattern for c in "*?[") else pattern in name


def examine_all(paths: Sequence[Path], settings: Settings, jobs: int) -> Iterator[Row]:
    """Rows as they come. A tree that kills its process is tried alone, and gets a traceback row if it does it again."""
    left = list(paths)
    try:
        with ProcessPoolExecutor(jobs) as pool:
            running: dict[Future[Row], Path] = {pool.submit(examine, path, settings): path for path in paths}
            while running:
                for future in wait(running, return_when=FIRST_COMPLETED).done:
                    row = future.result()
                    left.remove(running.pop(future))
                    yield row
    except BrokenProcessPool:
        for path in left:
            yield _alone(path, settings)


def _alone(path: Path, settings: Settings) -> Row:
    try:
        with ProcessPoolExecutor(1) as pool:
            return pool.submit(examine, path, settings).result()
    except BrokenProcessPool:
        return Row(path.name, reason="the process died")


class Progress:
    """One line on standard error that tells how far the census is, now and then when it is no terminal."""

    def __init__(self, total: int) -> None:
        self._total, self._done, self._started = total, 0, time.monotonic()
        self._live = sys.stderr.isatty()
        self._shown = self._started

    def __call__(self, row: Row) -> None:
        """Count a tree."""
        self._done += 1
        now = time.monotonic()
        if now - self._shown < (0.2 if self._live else 60) and self._done < self._total:
            return
        self._shown = now
        line = f"{self._done}/{self._total} trees, {now - self._started:.0f} s"
        if self._live:
            end = "\r\033[K" if self._done == self._total else ""
            print(f"\r\033[K{line} {row.name}"[:110], end=end, file=sys.stderr, flush=True)
        else:
            print(line, file=sys.stderr, flush=True)


def main(argv: Sequence[str] | None = None) -> int:
    """Run, and return the exit code."""
    options = parser().parse_args(argv)
    try:
        kernel_src = kernel_source(options.kernel_src, options.mirror)
    except CannotRunError as error:
        print(f"skipped: {error}", file=sys.stderr)
        return EXIT_SKIPPED
    paths = trees(kernel_src, options.only)
    if not paths:
        what = f"no tree is called {' or '.join(options.only)}" if options.only else "expected a Linux source tree"
        print(f"error: {kernel_src}/arch/arm/boot/dts: {what}", file=sys.stderr)
        return EXIT_USAGE
    dtc, skipped = None, "--no-dtc"
    if not options.no_dtc:
        try:
            dtc, skipped = find_dtc(kernel_src, options.cache.absolute(), options.dtc), ""
        except CannotRunError as error:
            skipped = str(error)
            print(f"skipped: blobs are not held against dtc: {skipped}", file=sys.stderr)
    try:
        build = load_build(options.config)
    except InputError as error:
        print(f"error: {error}", file=sys.stderr)
        return EXIT_USAGE
    settings = Settings(kernel_src, (with_all_machines(build), *older_builds()), dtc)
    rows, progress = [], Progress(len(paths))
    for row in examine_all(paths, settings, options.jobs):
        rows.append(row)
        progress(row)
        if options.all and not options.json:
            print(table.one_line(row), flush=True)
    rows.sort(key=lambda row: row.name)
    failed = table.failures(rows)
    print(json.dumps(table.as_json(rows, skipped), indent=1) if options.json else table.report(rows, skipped))
    for line in failed:
        print(f"FAIL {line}", file=sys.stderr)
    return EXIT_FAILED if failed else EXIT_OK


if __name__ == "__main__":
    sys.exit(main())
