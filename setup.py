"""Builds bootsim's Cython modules and installs the bundled trees and build descriptions; the rest is pyproject.toml.

BOOTSIM_DEBUG=1   build with every Cython check on (`make debug`)
BOOTSIM_ASAN=1    the same with AddressSanitizer, which the process must have loaded first (`make asan`)
BOOTSIM_TRACE=1   every check, with line tracing for coverage
BOOTSIM_PURE=1    leave the Cython modules out (`make` installs the environment first and compiles afterwards)
"""

from __future__ import annotations

import os
import shutil
from pathlib import Path

from Cython.Build import cythonize
from setuptools import Extension, setup
from setuptools.command.build_ext import build_ext
from setuptools.command.build_py import build_py
from setuptools.command.sdist import sdist

TRACE = os.environ.get("BOOTSIM_TRACE", "0") not in ("", "0")
ASAN = os.environ.get("BOOTSIM_ASAN", "0") not in ("", "0")
DEBUG = TRACE or ASAN or os.environ.get("BOOTSIM_DEBUG", "0") not in ("", "0")
VARIANT = "trace" if TRACE else "asan" if ASAN else "debug" if DEBUG else "release"

# What every module would have for itself otherwise: Cython's own functions.
COMMON = "bootsim._cython"

# Top-level folders that are installed as bootsim/data/<folder>.
DATA = {"dts": ("*.dts", "*.dtsi", "*.h"), "configs": ("*.yaml",)}

DIRECTIVES = {
    "language_level": 3,
    "binding": True,
    "embedsignature": True,
    "boundscheck": DEBUG,
    "wraparound": DEBUG,
    "cdivision": not DEBUG,
    "initializedcheck": DEBUG,
    "nonecheck": DEBUG,
    "overflowcheck": False,  # the kernel's arithmetic wraps, and so must the replay's
    "linetrace": TRACE,
}


def extensions() -> list[Extension]:
    if os.environ.get("BOOTSIM_PURE", "0") not in ("", "0"):
        return []
    macros = [("CYTHON_TRACE", "1"), ("CYTHON_TRACE_NOGIL", "1")] if TRACE else []
    # gcc's joining of neighbouring stores makes an object with its free slower: 5.3 ns, 5.0 without it. What the source
    # calls inline is built in, if it is large too: a mixture of objects takes 16.5 ns, 18 without that.
    fast = ["-O2", "-g0", "-fno-tree-slp-vectorize", "--param=max-inline-insns-single=300"]
    flags = ["-O1", "-g"] if DEBUG else fast
    sanitizer = ["-fsanitize=address", "-fno-omit-frame-pointer"] if ASAN else []
    if "CFLAGS" in os.environ:
        flags = []  # the person chose
    return [
        Extension(
            ".".join(source.with_suffix("").parts),
            [str(source)],
            define_macros=macros,
            extra_link_args=sanitizer,
            extra_compile_args=[*flags, *sanitizer, "-Wno-sign-compare", "-Wno-unused-function"],
        )
        for source in [Path(*COMMON.split(".")).with_suffix(".c"), *sorted(Path("bootsim").rglob("*.pyx"))]
    ]


class BuildExt(build_ext):
    """Runs Cython, and compiles everything anew when the modules lying in the source tree are of another variant."""

    def run(self) -> None:
        made = cythonize(
            self.extensions,
            build_dir=f"build/cython-{VARIANT}",
            compiler_directives=DIRECTIVES,
            show_all_warnings=False,
            shared_utility_qualified_name=COMMON,
            nthreads=os.cpu_count() or 1,
        )
        for extension, from_cython in zip(self.extensions, made, strict=True):
            extension.sources = from_cython.sources
        marker = Path(self.build_temp) / "variant"
        built = marker.read_text() if marker.is_file() else VARIANT
        if built != VARIANT:
            self.force = True
        super().run()
        marker.parent.mkdir(parents=True, exist_ok=True)
        marker.write_text(VARIANT)


class BuildPy(build_py):
    """Also copies the top-level data folders into the package; an editable install reads them where they are."""

    def _data(self) -> list[tuple[Path, Path]]:
        return [
            (source, Path(self.build_lib, "bootsim", "data", folder, source.name))
            for folder, patterns in DATA.items()
            for pattern in patterns
            for source in sorted(Path(folder).glob(pattern))
        ]

    def run(self) -> None:
        super().run()
        if self.editable_mode:
            return
        for source, target in self._data():
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(source, target)

    def get_outputs(self, include_bytecode: bool = True) -> list[str]:
        outputs: list[str] = super().get_outputs(include_bytecode)
        if not self.editable_mode:
            outputs += [str(target) for _, target in self._data()]
        return outputs


class Sdist(sdist):
    """Ships the .pyx files, not the C made from them."""

    def add_defaults(self) -> None:
        super().add_defaults()
        self.filelist.exclude_pattern("build/*")
        self.filelist.exclude_pattern("bootsim/*.c")


def main() -> None:
    setup(
        ext_modules=extensions(),
        cmdclass={"build_ext": BuildExt, "build_py": BuildPy, "sdist": Sdist},
        options={"build_ext": {"parallel": os.cpu_count() or 1}},
    )


if __name__ == "__main__":
    main()
