"""What a wheel and a source archive hold, and that an installed bootsim finds its own data."""

import os
import shutil
import subprocess
import sys
import tarfile
import tomllib
import zipfile
from importlib import metadata
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).parent.parent
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
COMPILED = "workingset"


@pytest.fixture(scope="module")
def checkout(tmp_path_factory):
    """A clone's files: what git would hand over, without anything that was built."""
    listed = subprocess.run(
        ["git", "ls-files", "-co", "--exclude-standard", "-z"], cwd=ROOT, capture_output=True, check=False
    )
    if listed.returncode:
        pytest.skip("not a git checkout")
    target = tmp_path_factory.mktemp("checkout")
    for name in listed.stdout.decode().split("\0"):
        source = ROOT / name
        if name and source.is_file():
            copied(source, target / name)
    return target


def copied(source, target):
    """Copy a file with its time, by which a build sees what is up to date."""
    target.parent.mkdir(parents=True, exist_ok=True)
    shutil.copy2(source, target)


@pytest.fixture(scope="module")
def sdist(checkout):
    run([sys.executable, "setup.py", "-q", "sdist"], checkout)
    (archive,) = (checkout / "dist").glob("*.tar.gz")
    return archive


@pytest.fixture(scope="module")
def wheel(sdist, tmp_path_factory):
    """A wheel built from the source archive, as pip does.

    What this tree's build has made of the same files lies there already, but for one module, which is compiled.
    """
    place = tmp_path_factory.mktemp("wheel")
    with tarfile.open(sdist) as archive:
        archive.extraction_filter = getattr(tarfile, "data_filter", None)  # Python 3.11.4 and later
        archive.extractall(place)
    (source,) = place.iterdir()
    for made, target in ((ROOT / "build/cython-release/bootsim", "build/cython-release"), (ROOT / "bootsim", "built")):
        for path in made.rglob("*.c" if made.parent != ROOT else "*.so"):
            if path.name.partition(".")[0] != COMPILED:
                copied(path, source / target / path.relative_to(made.parent))
    run([sys.executable, "setup.py", "-q", "build", "--build-lib", "built", "bdist_wheel"], source)
    (built,) = (source / "dist").glob("*.whl")
    return built


def run(command, cwd, **environment):
    env = {**os.environ, "CFLAGS": "-O0 -g0", **environment}
    done = subprocess.run(command, cwd=cwd, env=env, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_project_names_its_version_once():
    import bootsim

    assert bootsim.__version__ == PROJECT["version"]


def test_sdist_has_sources_data_and_licence_but_nothing_built(sdist, checkout):
    with tarfile.open(sdist) as archive:
        names = {name.partition("/")[2] for name in archive.getnames()}
        held = {file.name.partition("/")[2]: archive.extractfile(file).read() for file in archive if file.isfile()}
    patterns = ("bootsim/**/*.py*", "bootsim/**/*.px*", "configs/*.*", "dts/*.*", "tests/**/*.*", "docs/**/*.*",
                "labs/*.*")
    wanted = {str(path.relative_to(checkout)) for pattern in patterns for path in checkout.glob(pattern)}
    wanted |= {"LICENSE", "README.md", "Makefile", "setup.py", "pyproject.toml", "tests/test_packaging.py", ".ci/run"}
    assert wanted - names == set()
    altered = {name for name in wanted if (checkout / name).is_file() and held[name] != (checkout / name).read_bytes()}
    assert altered == set()
    written = {str(path.relative_to(checkout)) for folder in ("benchmarks", "differential", "golden")
               for path in (checkout / "tests" / folder).rglob("*.c")}
    assert written
    built = {name for name in names - written if name.endswith((".so", ".c", ".pyc")) or name.startswith("build/")}
    assert built == set()


@pytest.mark.slow
def test_wheel_has_every_module_and_the_data_inside_the_package(wheel, checkout):
    with zipfile.ZipFile(wheel) as archive:
        names = set(archive.namelist())
    folders = ("configs", "dts")
    data = {f"bootsim/data/{folder}/{path.name}" for folder in folders for path in (checkout / folder).glob("*.*")
            if path.suffix != ".py"}
    data |= {str(path.relative_to(checkout)) for path in (checkout / "bootsim/views/report").glob("*.*")
             if path.suffix in (".j2", ".js", ".css")}
    assert data
    assert data - names == set()
    assert "bootsim/py.typed" in names
    modules = {str(path.relative_to(checkout)) for path in checkout.glob("bootsim/**/*.py")}
    assert modules - names == set()
    for source in checkout.glob("bootsim/**/*.pyx"):
        stem = str(source.relative_to(checkout).with_suffix(""))
        assert any(name.startswith(f"{stem}.") and name.endswith(".so") for name in names), stem
        assert f"{stem}.pyi" in names
    assert any(name.startswith("bootsim/_cython.") and name.endswith(".so") for name in names)
    assert not any(name.startswith(("tests/", "configs/", "dts/")) for name in names)


@pytest.mark.slow
def test_installed_package_finds_its_configs_from_anywhere(wheel, tmp_path):
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(tmp_path / "site")
    script = """
from bootsim.inputs.configfile import load_build
import bootsim.linux.mm.workingset
print(load_build("3G/1G").name, bootsim.__file__)
"""
    empty = tmp_path / "empty"
    empty.mkdir()
    out = run([sys.executable, "-P", "-c", script], empty, PYTHONPATH=str(tmp_path / "site"))
    assert out.split() == ["3G/1G", str(tmp_path / "site/bootsim/__init__.py")]


def test_checkout_uses_the_top_level_folders():
    from bootsim.inputs.bundled import bundled_dir

    if not (ROOT / "bootsim/data").exists():
        assert bundled_dir("configs") == ROOT / "configs"


def test_makefile_and_ci_name_no_registry():
    for name in ("Makefile", "pyproject.toml", "setup.py", ".ci/run"):
        text = (ROOT / name).read_text()
        assert "http" not in text, name
        assert "index-url" not in text, name


def required(extras):
    """Every distribution that bootsim with `extras` needs here, by canonical name, and theirs in turn."""
    todo, found = [("bootsim", frozenset(extras))], {}
    while todo:
        name, wanted = todo.pop()
        if wanted <= found.get(name, frozenset()) and name in found:
            continue
        found[name] = found.get(name, frozenset()) | wanted
        try:
            lines = metadata.requires(name) or []
        except metadata.PackageNotFoundError:
            continue  # an extra's that is not installed here; it must be in the lock all the same
        for requirement in map(Requirement, lines):
            if requirement.marker is None or any(
                requirement.marker.evaluate({"extra": extra}) for extra in (*wanted, "")
            ):
                todo.append((canonicalize_name(requirement.name), frozenset(requirement.extras)))
    return found.keys() - {"bootsim"}


def test_the_lock_holds_everything_that_make_installs():
    lines = (ROOT / "constraints.txt").read_text().splitlines()
    locked = {canonicalize_name(line.split("==")[0]) for line in lines if not line.startswith("#")}
    missing = (required(("dev", "test", "lint", "browser")) | {"setuptools", "cython", "wheel"}) - locked
    assert missing == set(), "run `make lock`"


def test_make_installs_nothing_outside_the_lock():
    installs = [line for line in (ROOT / "Makefile").read_text().splitlines() if "$(PIP) install" in line]
    assert installs
    assert all("$(LOCK)" in line for line in installs), installs
