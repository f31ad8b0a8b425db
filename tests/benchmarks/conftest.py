"""What several benchmarks share."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

HERE = Path(__file__).parent
ROOT = HERE.parent.parent


@pytest.fixture(scope="module")
def driver(tmp_path_factory):
    """buddy_driver.pyx, compiled against the interfaces of the source tree."""
    folder = tmp_path_factory.mktemp("driver")
    shutil.copy(HERE / "buddy_driver.pyx", folder)
    build = (
        "from setuptools import Extension, setup; from Cython.Build import cythonize; "
        "setup(name='d', ext_modules=cythonize(Extension('buddy_driver', ['buddy_driver.pyx'], "
        f"extra_compile_args=['-O2']), include_path=[{str(ROOT)!r}], quiet=True))"
    )
    subprocess.run([sys.executable, "-c", build, "-q", "build_ext", "--inplace"], cwd=folder, check=True,
                   capture_output=True)  # fmt: skip
    sys.path.insert(0, str(folder))
    try:
        import buddy_driver
    finally:
        sys.path.remove(str(folder))
    return buddy_driver
