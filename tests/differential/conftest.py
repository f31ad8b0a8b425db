"""The kernel's sources, compiled for this machine."""

import ctypes
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

HERE = Path(__file__).parent
HEADERS = (
    *(f"linux/{name}.h" for name in ("kernel", "slab", "init", "bitops", "poison", "pfn", "debugfs", "kmemleak")),
    *(f"linux/{name}.h" for name in ("seq_file", "io", "mm", "types", "export", "sort", "string", "ctype")),
    *(f"linux/{name}.h" for name in ("stddef", "rcupdate", "compiler")),
    "asm/sections.h", "asm/dma.h", "internal.h",
)  # fmt: skip
FLAGS = ["-D__KERNEL__", "-fPIC", "-shared", "-O1", "-w", "-fno-strict-aliasing"]


def _kernel_source():
    if given := os.environ.get("KERNEL_SRC"):
        return Path(given)
    if os.environ.get("BOOTSIM_DIFFERENTIAL") != "1":
        pytest.skip("not asked for: run `make differential`, or name a Linux 5.10 tree in KERNEL_SRC")
    sys.path.append(str(HERE.parent / "conformance"))
    import realboot
    from realboot import apt

    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "bootsim-conformance"
    try:
        return apt.fetch(cache)
    except (realboot.CannotRunError, realboot.StepFailedError, OSError) as error:
        pytest.skip(f"no kernel tree: {error}")


@pytest.fixture(scope="session")
def taken_out():
    """taken_out(kernel file, functions, macros) -> these by name, as they stand there."""

    def take(path, functions, macros=()):
        text, found = path.read_text(), []
        for name in (*macros, *functions):
            macro = rf"^#define {name}\(.*?[^\\]\n"
            function = rf"^(static|struct|int|void|swp_entry_t) [^;{{}}#]*?\b{name}\([^;{{}}]*\)\n{{.*?^}}\n"
            one = re.search(macro if name in macros else function, text, re.MULTILINE | re.DOTALL)
            assert one is not None, name
            found.append(one[0])
        return "\n".join(found)

    return take


@pytest.fixture(scope="session")
def kernel_src():
    found = _kernel_source()
    if not (found / "mm/memblock.c").is_file():
        pytest.fail(f"KERNEL_SRC={found} is no Linux tree: it has no mm/memblock.c")
    if shutil.which("cc") is None:
        pytest.skip("no C compiler (cc)")
    return found


@pytest.fixture(scope="session")
def compiled(kernel_src, tmp_path_factory):
    """compiled(wrapper, {copy's name: kernel file}) -> the wrapper as a loaded library."""
    place = tmp_path_factory.mktemp("kernel")
    for name in HEADERS:
        (place / name).parent.mkdir(exist_ok=True)
        (place / name).write_text('#include "host.h"\n')
    (place / "linux/memblock.h").write_text((kernel_src / "include/linux/memblock.h").read_text())

    def build(wrapper, files):
        for copy, source in files.items():
            shutil.copy(kernel_src / source, place / copy)
        library = place / f"{Path(wrapper).stem}.so"
        done = subprocess.run(
            ["cc", *FLAGS, f"-I{place}", f"-I{HERE}", str(HERE / wrapper), "-o", str(library)],
            capture_output=True, text=True, check=False,
        )  # fmt: skip
        assert done.returncode == 0, done.stderr
        return ctypes.CDLL(str(library))

    return build


@pytest.fixture(scope="session")
def libfdt(kernel_src, tmp_path_factory):
    """The kernel's libfdt as a loaded library."""
    folder = kernel_src / "scripts/dtc/libfdt"
    library = tmp_path_factory.mktemp("libfdt") / "libfdt.so"
    sources = [str(folder / name) for name in ("fdt.c", "fdt_ro.c", "fdt_strerror.c")]
    done = subprocess.run(
        ["cc", "-fPIC", "-shared", "-O1", "-w", f"-I{folder}", *sources, "-o", str(library)],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return ctypes.CDLL(str(library))
