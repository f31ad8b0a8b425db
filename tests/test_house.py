"""The rules of the house: where files lie, what may import what, how long a file may be."""

import ast
import re
from functools import cache
from itertools import chain
from pathlib import Path

ROOT = Path(__file__).parent.parent
PACKAGE = ROOT / "bootsim"
SOURCES = sorted(path for suffix in ("py", "pyx", "pxd", "pyi") for path in PACKAGE.rglob(f"*.{suffix}"))
MAX_LINES = 600

# Imports go down only.
FLOORS = ("cli", "sweep", "views", "lab", "state", "linux", "hw", "inputs")


def shown(path: Path) -> str:
    return str(path.relative_to(ROOT))


def of_kind(*suffixes: str) -> list[Path]:
    return [path for path in SOURCES if path.suffix in suffixes]


@cache
def text_of(path: Path) -> str:
    return path.read_text()


@cache
def kernel_paths() -> frozenset[str]:
    paths = set()
    for line in (ROOT / "tests/data/linux-5.10-paths.txt").read_text().splitlines():
        if not line.startswith("#"):
            folder, files = line.split(":")
            paths |= {f"{folder}/{file}" for file in files.split()}
    return frozenset(paths)


@cache
def plain_paths(real: frozenset[str]) -> set[str]:
    """The kernel's paths as modules can have them: arch/arm/asm stands for arch/arm/include/asm.

    Cython reserves the word `include`: no module below a folder of that name can be cimported.
    """
    return {name.replace("arch/arm/include/asm/", "arch/arm/asm/") for name in real}


@cache
def plain_modules(real: frozenset[str]) -> set[str]:
    return {name.rsplit(".", 1)[0].replace("-", "_") for name in plain_paths(real)}


def mirrored(path: Path, real: frozenset[str]) -> bool:
    """Whether a module under linux/ is named after a kernel file: one module, or a package of modules, a file.

    Python's names have _ where the kernel's may have -, and kernel/printk.py stands for kernel/printk/printk.c.
    """
    plain = plain_modules(real)
    name = str(path.relative_to(PACKAGE / "linux").with_suffix(""))
    if path.stem == "__init__":
        folder = name.rpartition("/")[0]
        return not folder or folder in plain or any(name.startswith(f"{folder}/") for name in plain)
    last = name.rsplit("/", 1)[-1]
    return name in plain or f"{name}/{last}" in plain or name.rpartition("/")[0] in plain


def test_replay_mirrors_the_kernel_tree():
    replay = [path for path in SOURCES if path.is_relative_to(PACKAGE / "linux")]
    assert len(replay) > 300
    stray = [shown(path) for path in replay if not mirrored(path, kernel_paths())]
    assert not stray, "not named after a file or folder of Linux v5.10"


def test_mirror_rule_can_fail():
    real = kernel_paths()
    assert mirrored(PACKAGE / "linux/mm/memblock.py", real)
    assert mirrored(PACKAGE / "linux/arch/arm/mm/proc_v7_2level.py", real)
    assert mirrored(PACKAGE / "linux/kernel/printk.py", real)
    assert mirrored(PACKAGE / "linux/arch/arm/mm/mmu/lowmem.py", real)
    assert mirrored(PACKAGE / "linux/mm/page_alloc/init.pyx", real)
    assert not mirrored(PACKAGE / "linux/mm/buddyinfo.py", real)
    assert mirrored(PACKAGE / "linux/arch/arm/asm/memory.py", real)
    assert not mirrored(PACKAGE / "linux/arch/arm/asm/buddyinfo.py", real)
    assert mirrored(PACKAGE / "linux/__init__.py", real)
    assert mirrored(PACKAGE / "linux/arch/arm/mach_omap2/__init__.py", real)
    assert mirrored(PACKAGE / "linux/mm/slub/__init__.py", real)
    assert not mirrored(PACKAGE / "linux/mm/buddyinfo/__init__.py", real)


def imports(path: Path) -> set[str]:
    """The bootsim modules a file imports when it runs; imports for type checkers alone do not count.

    What is no module of its own, such as `from bootsim import boot`, is the package: "bootsim".
    """
    if path.suffix != ".py":
        words = [line.split() for line in path.read_text().splitlines()]
        lines = [w for w in words if len(w) > 1 and w[0] in ("from", "import", "cimport")]
        return {w[1] for w in lines if w[1].split(".")[0] == "bootsim"}
    tree = ast.parse(path.read_text())
    typing_only = {
        id(inner)
        for node in ast.walk(tree)
        if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING"
        for inner in ast.walk(node)
    }
    found: set[str] = set()
    for node in ast.walk(tree):
        if id(node) in typing_only:
            continue
        if isinstance(node, ast.ImportFrom) and node.module == "bootsim":
            names = [alias.name for alias in node.names]
            found |= {f"bootsim.{name}" if module(f"bootsim.{name}") else "bootsim" for name in names}
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            found.add(node.module)
        elif isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
    return {name for name in found if name.split(".")[0] == "bootsim"}


def module(name: str) -> Path | None:
    """The file of a module or a floor right below the package; None when there is none of that name."""
    path = PACKAGE / name.split(".")[1]
    places = (path.with_suffix(".py"), path / "__init__.py", path.with_suffix(".pxd"))
    return next((p for p in places if p.is_file()), None)


@cache
def reached(name: str) -> frozenset[str]:
    """The floors that importing a module leads to. `bootsim` itself stands for everything.

    A module that lies on no floor leads where its own imports lead.
    """
    if name == "bootsim":
        return frozenset(FLOORS)
    seen: set[str] = set()
    floors: set[str] = set()
    todo = [name]
    while todo:
        each = todo.pop()
        first = each.partition(".")[2].partition(".")[0]
        if not first:
            return frozenset(FLOORS)
        if first in FLOORS:
            floors.add(first)
        elif first not in seen:
            seen.add(first)
            todo += imports(module(each))
    return frozenset(floors)


def test_imports_go_down():
    upward = {}
    for path in of_kind(".py", ".pyx", ".pxd"):
        floor = path.relative_to(PACKAGE).parts[0]
        if floor in FLOORS:
            above = set(FLOORS[: FLOORS.index(floor)])
            upward[shown(path)] = {name for name in imports(path) if reached(name) & above}
    assert {*FLOORS} == {name.split("/")[1] for name in upward}
    assert {path: names for path, names in upward.items() if names} == {}


def test_import_rule_sees_every_kind_of_import(tmp_path):
    module = tmp_path / "module.py"
    module.write_text("import bootsim.views.dmesg\ndef f():\n    from bootsim.cli import boot\n")
    assert imports(module) == {"bootsim.views.dmesg", "bootsim.cli"}
    module.write_text("if TYPE_CHECKING:\n    from bootsim.linux import Kernel\n")
    assert imports(module) == set()
    module.write_text("import bootsim\n")
    assert imports(module) == {"bootsim"}
    module.write_text("from bootsim import boot, files, linux\n")
    assert imports(module) == {"bootsim", "bootsim.files", "bootsim.linux"}


def test_the_package_is_everything_and_other_modules_are_what_they_import():
    assert reached("bootsim") == set(FLOORS)
    assert reached("bootsim.views.dmesg") == {"views"}
    assert reached("bootsim.sizes") == set()
    assert reached("bootsim.start") == {"linux", "hw", "inputs"}
    assert "sweep" in reached("bootsim.pytest_plugin")


def test_files_are_short():
    lines = {shown(path): text_of(path).count("\n") for path in (*SOURCES, *(ROOT / "tests").rglob("*.py"))}
    assert {path: count for path, count in lines.items() if count > MAX_LINES} == {}


def test_functions_of_the_replay_say_which_of_the_kernels_they_are():
    without = [f"{shown(path)}: {node.name}" for path in of_kind(".py") if path.is_relative_to(PACKAGE / "linux")
               for node in ast.parse(text_of(path)).body if isinstance(node, ast.FunctionDef)
               and not node.name.startswith("_") and "Source:" not in (ast.get_docstring(node) or "")]
    for path in of_kind(".pyx"):
        if path.is_relative_to(PACKAGE / "linux"):
            functions = re.findall(r'^(?:def|cpdef[\w ]*) (?!_[a-z])(\w+)\((?:[^()]|\([^()]*\))*\)[ \w]*:\n'
                                   r'(\s*"""(?:.|\n)*?""")?', text_of(path), re.MULTILINE)
            without += [f"{shown(path)}: {name}" for name, docstring in functions if "Source:" not in docstring]
    assert without == []


def test_cython_modules_are_typed():
    modules = of_kind(".pyx")
    assert modules
    assert [shown(path) for path in modules if not path.with_suffix(".pyi").is_file()] == [], "no .pyi beside it"


def test_error_numbers_are_defined_once():
    home = PACKAGE / "linux/include/linux/errno.py"
    known = "|".join(re.findall(r"^(E\w+) =", text_of(home), re.MULTILINE))
    own = re.compile(rf"^[\w, ]*\b(?:{known})\b[\w, ]* = .*\d", re.MULTILINE)
    assert [shown(path) for path in of_kind(".py") if own.search(text_of(path))] == [shown(home)]


# Where Cython modules have their constants from.
CONSTANTS = ("page.pxd", "errno.pxd", "linux/mm/page_alloc/gfp.pxd", "linux/mm/mmap/flags.pxd",
             "linux/arch/arm/asm/pgtable_2level.pxd")  # fmt: skip
CYTHON = of_kind(".pyx", ".pxd")


def constants(text: str) -> set[str]:
    """The names of a Cython file's enums, and what it assigns in capitals."""
    return set(re.findall(r"^ *(?:DEF )?(_*[A-Z][A-Z0-9_]+) = ", text, re.MULTILINE))


@cache
def homes() -> dict[str, str]:
    """Where each constant lies. A GFP_X that is nothing else stands for __GFP_X."""
    at = {name: home for home in CONSTANTS for name in constants((PACKAGE / home).read_text())}
    return {name.removeprefix("__"): home for name, home in at.items()} | at


def test_constants_of_cython_modules_are_defined_once():
    for path in CYTHON:
        here = str(path.relative_to(PACKAGE))
        again = {name: homes()[name] for name in constants(text_of(path)) & {*homes()} if homes()[name] != here}
        assert not again, f"{here} defines again what others have: {again}"


def numbers(text: str) -> dict[str, int]:
    """The constants of a file that are written as one number or a shift of one; a cdef enum's, or assigned alone."""
    found = re.findall(r"^ *(_*[A-Za-z]+_\w+) = (0x[0-9A-F]+|\d+)(?: << (\d+))?U? *(?:#.*)?$", text, re.MULTILINE)
    return {name: int(number, 0) << int(shift or 0) for name, number, shift in found}


def test_python_has_the_numbers_that_cython_has():
    at = {name: (value, path) for path in CYTHON for name, value in numbers(text_of(path)).items()}
    both = 0
    for path in of_kind(".py"):
        for name, value in numbers(text_of(path)).items():
            if name in at:
                both += 1
                assert value == at[name][0], f"{name} of {shown(path)} is not that of {shown(at[name][1])}"
    assert both > 20
    assert numbers("    PG_lru = 1 << 4\nVM_IO = 0x4000  # x\nVM_X = VM_IO\n") == {"PG_lru": 16, "VM_IO": 0x4000}


def test_the_rule_of_constants_sees_each_way_to_write_one():
    text = "cdef enum:\n    PAGE_SIZE = 4096\n    GFP_ZERO = 0x100\nEBUSY = 16\nDEF PAGE_SHIFT = 12\n"
    assert constants(text) == {"PAGE_SIZE", "GFP_ZERO", "EBUSY", "PAGE_SHIFT"}
    assert constants(text) <= {*homes()}


def unsigned_errors(text: str) -> list[str]:
    """Choices between -ERROR and an unsigned number: Cython takes the whole for unsigned, and no error is seen."""
    declared = re.findall(r"\buint\d+_t ([\w, ]+)", text)
    unsigned = {name for names in declared for name in re.split(r"\W+", names) if name}
    number = rf"(?:<uint\d+_t>|(?:\w+\.)*(?:{'|'.join(sorted(unsigned)) or '(?!)'})\b(?! *[<>=!]))"
    error = r"-E[A-Z0-9]{2,}\b"
    return re.findall(rf"{error} if .* else {number}.*|(?:= |return ){number}[^=\n]* if .* else {error}", text)


def test_errors_stay_below_zero():
    assert {shown(path): wrong for path in CYTHON if (wrong := unsigned_errors(text_of(path)))} == {}


def test_the_rule_of_errors_can_fail():
    declared = "    cdef uint32_t va, pa\n    cdef int64_t error\ncdef uint32_t find(self, uint32_t i) except? 0:\n"
    for wrong in ("return -EINVAL if not va else va", "error = pa if pa else -ENOMEM",
                  "return <uint32_t>i if i else -EIO", "return -ENOMEM if error else self.find(3)"):
        assert unsigned_errors(declared + wrong), wrong
    for right in ("return -EINVAL if not va else 0", "return <int64_t>va if va else -ENOMEM",
                  "return 0 if va else -EIO", "return -EAGAIN if error == -ENOMEM else error"):
        assert unsigned_errors(declared + right) == [], right


GOLDEN_MARK = re.compile(r"^(@|.*= )pytest\.mark\.golden$", re.MULTILINE)


def test_the_mark_golden_is_for_recordings_of_real_kernels():
    marked = [path for path in (ROOT / "tests").rglob("test_*.py") if GOLDEN_MARK.search(text_of(path))]
    assert len(marked) > 10
    stored = (ROOT / "tests/golden", ROOT / "tests/corpus")
    without = [shown(path) for path in marked if not {*stored} & {*path.parents}
               and not re.search(r"""["/](golden|corpus)["/]|\b(unpack|recorded|replay_of)\(""", text_of(path))]
    assert without == [], "reads no recording: what the source says is no golden data"


def test_the_size_of_a_page_is_said_once():
    again = [shown(path) for path in SOURCES if path.suffix == ".py" and path != PACKAGE / "page.py"
             and re.search(r"^_?PAGE(_SIZE|_SHIFT|_BYTES)? *=", text_of(path), re.MULTILINE)]
    assert again == []


def test_no_path_of_a_build_machine():
    files = chain(SOURCES, (ROOT / "configs").glob("*"), (ROOT / "docs").glob("*"), (ROOT / "dts").glob("*"))
    words = ("/work/", "/tmp/k", "/home/", "/root/")
    marked = [shown(path) for path in files if path.is_file() and any(w in text_of(path) for w in words)]
    assert marked == []
