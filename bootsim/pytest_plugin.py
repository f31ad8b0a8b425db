"""bootsim in pytest: the fixture `boot`, and check files (*.bootsim.yaml) and scripts (*.bootsim.py) as tests.

    def test_lowmem(boot):
        k = boot("board.dts", mem="1G", cmdline="vmalloc=384M")
        assert k.mm.arm_lowmem_limit - k.mm.phys_offset >= 512 << 20

pytest loads this module through its entry point in every run, so everything else is imported when it is used.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from bootsim.linux import Kernel
    from bootsim.sweep.checkfile import Boot
    from bootsim.sweep.checks import Finding, Report

_LAST_LINES = 20
SUFFIXES = (".bootsim.yaml", ".bootsim.yml")
SCRIPT_SUFFIX = ".bootsim.py"


@pytest.fixture
def boot(request: pytest.FixtureRequest) -> Callable[..., Kernel]:
    """Boots a device tree and returns the kernel: the arguments are those of bootsim.boot().

    Names of files are relative to the test's folder, then to the current one.
    """
    import bootsim
    from bootsim.errors import KernelPanic
    from bootsim.state.recorder import Recorder

    def booted(dts: Any, config: Any = "3G/1G", **inputs: Any) -> Kernel:
        until, stages = inputs.pop("until", None), inputs.pop("stages", False)
        files = _beside(request.path.parent, {**inputs, "dts": dts, "config": config})
        k = bootsim.prepare(**files, observer=Recorder() if stages else None)
        try:
            bootsim.run(k, until=until)
        except KernelPanic as panic:
            lines = [line for record in k.log.records for line in record.text.split("\n")]
            panic.add_note("\n".join(["The log ended:", *lines[-_LAST_LINES:]]))
            raise
        return k

    return booted


def _beside(folder: Path, inputs: dict[str, Any]) -> dict[str, Any]:
    # the arguments of a boot, with the files and folders that are there beside the test

    def found(name: Any) -> Any:
        if isinstance(name, (tuple, list)):  # an initrd with its address, folders of includes
            return type(name)(map(found, name))
        path = folder / name if isinstance(name, (str, os.PathLike)) else None
        return path if path is not None and path.exists() else name

    files = ("dts", "config", "initrd", "efi_memmap", "include_dirs")
    return inputs | {name: found(inputs[name]) for name in files if name in inputs}


def pytest_collect_file(file_path: Path, parent: pytest.Collector) -> pytest.File | None:
    """Collect check files and scripts."""
    if file_path.name.endswith(SCRIPT_SUFFIX):
        scripts: ScriptCollector = ScriptCollector.from_parent(parent, path=file_path)
        return scripts
    if file_path.name.endswith(SUFFIXES):
        collector: CheckCollector = CheckCollector.from_parent(parent, path=file_path)
        return collector
    return None


def pytest_pycollect_makemodule(module_path: Path, parent: pytest.Collector) -> pytest.Module | None:
    """Keep pytest from importing a script that is named on its command line: it is no module of tests."""
    if module_path.name.endswith(SCRIPT_SUFFIX):
        nothing: _NoModule = _NoModule.from_parent(parent, path=module_path)
        return nothing
    return None


class _NoModule(pytest.Module):
    def collect(self) -> list[pytest.Item | pytest.Collector]:
        return []


class CheckCollector(pytest.File):
    """A check file: a test for every expectation on every boot. A boot is made once, by the first of its tests."""

    def collect(self) -> Iterator[CheckItem]:
        """Yield the tests."""
        from bootsim.errors import InputError
        from bootsim.sweep.checkfile import read

        try:
            file = read(self.path)
        except InputError as error:
            raise self.CollectError(str(error)) from None
        for made in map(_Made, file.boots):
            for index, expectation in enumerate(made.boot.expectations):
                name = self.relative(f"{made.boot.case.title()}: {expectation.expression.text}")
                item: CheckItem = CheckItem.from_parent(self, name=name, made=made, index=index)
                yield item

    def relative(self, text: str) -> str:
        """A text with the files below pytest's root directory named from there."""
        return text.replace(f"{self.config.rootpath}{os.sep}", "")


class CheckFailed(Exception):
    """What failed, as lines."""


class _Made:
    """A boot that is made when it is first asked for."""

    def __init__(self, boot: Boot) -> None:
        self.boot = boot
        self._report: Report | None = None

    def report(self) -> Report:
        from bootsim.sweep.checks import check

        if self._report is None:
            self._report = check(self.boot)
        return self._report


class CheckItem(pytest.Item):
    """One expectation on one boot."""

    parent: CheckCollector

    def __init__(self, *, made: _Made, index: int, **rest: Any) -> None:
        super().__init__(**rest)
        self._made = made
        self._index = index

    def runtest(self) -> None:
        """Fail unless the expectation holds; skip when it does not apply."""
        from bootsim.sweep.reports import explained

        finding: Finding = self._made.report().findings[self._index]
        if finding.status == "skipped":
            pytest.skip("; ".join(explained(finding)))
        if finding.status != "ok":
            lines = [self.name, *(f"  {line}" for line in explained(finding))]
            raise CheckFailed(self.parent.relative("\n".join(lines)))

    def repr_failure(self, excinfo: pytest.ExceptionInfo[BaseException], style: Any = None) -> Any:
        """Show a failed expectation as its lines, anything else as a traceback."""
        if isinstance(excinfo.value, CheckFailed):
            return str(excinfo.value)
        return super().repr_failure(excinfo, style)

    def reportinfo(self) -> tuple[Path, int, str]:
        """The expectation's place in the file, and the heading of its failure."""
        line = self._made.boot.expectations[self._index].line
        return self.path, line - 1, f"{self.name} ({self.path.name}:{line})"


class ScriptCollector(pytest.File):
    """A script as one test. Its first line names tree and options: `# bootsim: vexpress.dts --mem 1G`.

    Names of files are relative to the script's folder, then to the current one.
    """

    def collect(self) -> Iterator[ScriptItem]:
        """Yield the test."""
        item: ScriptItem = ScriptItem.from_parent(self, name="script")
        yield item


class ScriptItem(pytest.Item):
    """A script, run on a machine of its own."""

    def runtest(self) -> None:
        """Boot, and run the script."""
        import bootsim
        from bootsim.cli.inputs import parsed
        from bootsim.errors import InputError
        from bootsim.lab.script import FIRST_LINE, Script
        from bootsim.lab.session import Session
        from bootsim.views import alive

        script = Script(self.path)
        if not script.arguments:
            raise InputError(f"{self.path}:1: expected `{FIRST_LINE} TREE [OPTIONS]`, as `bootsim run` takes them")
        tree, inputs = parsed(script.arguments, f"{self.path}:1")
        k = bootsim.prepare(**_beside(self.path.parent, {**inputs, "dts": tree}))
        bootsim.run(k)
        script.run(Session(k, alive.text))

    def repr_failure(self, excinfo: pytest.ExceptionInfo[BaseException], style: Any = None) -> Any:
        """Show what the script says as one line, a bug as a traceback."""
        from bootsim.errors import BootsimError

        if isinstance(excinfo.value, BootsimError):
            return str(excinfo.value)
        return super().repr_failure(excinfo, style)

    def reportinfo(self) -> tuple[Path, int, str]:
        """The script, and the heading of its failure."""
        return self.path, 0, self.path.name
