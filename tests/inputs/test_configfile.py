"""Kernel-build descriptions: the bundled ones, the errors with their positions, and rubbish of every kind."""

import re
from pathlib import Path

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from bootsim.errors import InputError
from bootsim.inputs import configyaml
from bootsim.inputs.build import Config, KernelBuild, MachineDesc, Sizeof, Symbols
from bootsim.inputs.buildcheck import problems
from bootsim.inputs.configfile import bundled_builds, load_build, parse_build
from bootsim.inputs.configplain import read_plain
from bootsim.inputs.configwriter import render

ROOT = Path(__file__).parent.parent.parent
NAMES = ["3G/1G", "3G/1G-nohighmem", "3G/1G-opt", "2G/2G", "1G/3G"]
TEXT = (ROOT / "configs/3g-1g.yaml").read_text()
LINES = TEXT.splitlines(keepends=True)


def parse(text: str) -> KernelBuild:
    return parse_build(text.encode(), "b.yaml")


def errors(text: str) -> list[str]:
    with pytest.raises(InputError) as caught:
        parse(text)
    return str(caught.value).splitlines()


def changed(name: str, value: str) -> tuple[str, int]:
    """The 3G/1G text with another value for a name, and the line where it stands."""
    number = next(i for i, line in enumerate(LINES) if re.match(rf"\s*(- )?{re.escape(name)}:", line))
    lines = list(LINES)
    lines[number] = re.sub(r":.*", lambda _: f": {value}", lines[number], count=1)
    return "".join(lines), number + 1


def test_bundled_builds_in_order():
    assert [bundled.build.name for bundled in bundled_builds()] == NAMES


@pytest.mark.parametrize("name", NAMES)
def test_bundled_build_is_found_by_name_and_by_file_name(name):
    build = load_build(name)
    stem = name.lower().replace("/", "-")
    assert build.name == name
    assert load_build(stem) == build
    assert load_build(f"{stem}.yaml") == build
    assert load_build(name.lower()) == build
    assert load_build(str(ROOT / "configs" / f"{stem}.yaml")) == build
    assert build.provenance == "exact"


@pytest.mark.parametrize("name", NAMES)
def test_bundled_text_is_what_the_writer_writes(name):
    path = ROOT / "configs" / f"{name.lower().replace('/', '-')}.yaml"
    assert render(load_build(name)) == path.read_text()


# Numbers read off the real builds: .config and System.map for the first four, a debugger for the sizes.
@pytest.mark.parametrize(
    ("name", "page_offset", "highmem", "end", "pglist_data"),
    [
        ("3G/1G", 0xC0000000, True, 0xC0CC39E8, 3136),
        ("3G/1G-nohighmem", 0xC0000000, False, 0xC0CBF068, 2240),
        ("2G/2G", 0x80000000, False, 0x80CBF068, 2240),
        ("1G/3G", 0x40000000, True, 0x40CC39E8, 3136),
        ("3G/1G-opt", 0xB0000000, True, 0xB0CC39E8, 3136),
    ],
)
def test_bundled_values(name, page_offset, highmem, end, pglist_data):
    build = load_build(name)
    assert build.config.PAGE_OFFSET == page_offset
    assert build.config.HIGHMEM is highmem
    assert build.symbols.end == end
    assert build.symbols.swapper_pg_dir == page_offset + 0x4000
    assert build.sizeof.pglist_data == pglist_data
    assert build.sizeof.page == 32
    assert build.config.NR_CPUS == 8
    assert build.config.CMDLINE == "console=ttyAMA0"
    assert [machine.symbol for machine in build.machines] == ["GENERIC_DT", "VEXPRESS_DT"]


def test_a_path_comes_before_a_bundled_name(tmp_path, monkeypatch):
    (tmp_path / "2g-2g").write_text(TEXT)
    monkeypatch.chdir(tmp_path)
    assert load_build("2g-2g").name == "3G/1G"


@pytest.mark.parametrize(
    ("asked", "meant"), [("3G/2G", "3G/1G"), ("3g1g", "3G/1G"), ("2G2G", "2G/2G"), ("1G", "1G/3G")]
)
def test_unknown_name_gets_the_nearest(asked, meant):
    with pytest.raises(InputError, match=f"{asked}.*did you mean .*{meant}"):
        load_build(asked)


@pytest.mark.parametrize(
    "asked", ["", ".", "..", "../configs", "configs/../../nowhere", "zzz", "a\nb", "/", "3g-1g.yaml/x"]
)
def test_unknown_name_without_a_near_one(asked):
    with pytest.raises(InputError, match=r"bootsim has 3G/1G|a directory, expected"):
        load_build(asked)


def test_values_do_not_change():
    build = load_build("3G/1G")
    with pytest.raises(AttributeError, match="does not change"):
        build.config.HIGHMEM = False
    with pytest.raises(AttributeError, match="does not change"):
        del build.symbols.end
    other = build.replace(config=build.config.replace(HIGHMEM=False))
    assert other.config.HIGHMEM is False
    assert build.config.HIGHMEM is True
    assert other != build
    assert hash(load_build("3G/1G").config) == hash(build.config)


def test_values_refuse_wrong_names():
    with pytest.raises(TypeError, match=r"unknown \['HIGHMEN'\], missing \['PAGE_OFFSET'\]"):
        Config(HIGHMEN=True)


def test_numbers_in_decimal_and_hex_with_underscores():
    assert parse(changed("PAGE_OFFSET", "0xC000_0000")[0]).config.PAGE_OFFSET == 0xC0000000
    assert parse(changed("PAGE_OFFSET", "3_221_225_472")[0]).config.PAGE_OFFSET == 0xC0000000


def test_absent_bool_is_n():
    assert parse(TEXT.replace("  DEBUG_MEMORY_INIT: true\n", "")).config.DEBUG_MEMORY_INIT is False


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("PAGE_OFFSET", "yes please", "'yes please', expected a whole number"),
        ("PAGE_OFFSET", '"0xc0000000"', "'0xc0000000', expected a whole number"),
        ("PAGE_OFFSET", "0300", "0300, expected a whole number"),
        ("PAGE_OFFSET", "1:30", "1:30, expected a whole number"),
        ("PAGE_OFFSET", "3.5", "3.5, expected a whole number"),
        ("PAGE_OFFSET", "true", "true, expected a whole number"),
        ("PAGE_OFFSET", "[1]", "a list, expected a whole number"),
        ("PAGE_OFFSET", "", "nothing, expected a whole number"),
        ("HIGHMEM", "y", "'y', expected true or false"),
        ("HIGHMEM", "yes", "yes, expected true or false"),
        ("HIGHMEM", "1", "1, expected true or false"),
        ("HIGHMEM", "{a: b}", "a mapping, expected true or false"),
        ("name", "3", "3, expected text"),
        ("name", "null", "nothing, expected text"),
        ("provenance", "guessed", "'guessed', expected exact or derived"),
        ("schema", "2", "2, expected 1"),
        ("schema", '"1"', "'1', expected 1"),
        ("struct page", "32 bytes", "'32 bytes', expected a whole number"),
        ("machines", "3", "3, expected a list"),
        ("CMDLINE", "[]", "a list, expected text"),
    ],
)
def test_wrong_type_is_shown_with_its_place(name, value, message):
    text, line = changed(name, value)
    if name == "machines":
        text = text[: text.index("machines:")] + f"machines: {value}\n"
    found = errors(text)
    column = LINES[line - 1].index(name) + len(name) + (3 if value else 2)
    assert found[0].startswith(f"b.yaml:{line}:{column}: ")
    assert found[0].endswith(f"{name}: {message}")


def test_unknown_names():
    (error,) = errors(TEXT.replace("  HIGHMEM: true", "  HIGHMEN: true"))
    assert re.fullmatch(r"b\.yaml:\d+:3: config: HIGHMEN: unknown name: did you mean HIGHMEM\?", error)
    (error,) = errors(TEXT.replace("  HIGHMEM: true", "  CONFIG_HIGHMEM: true"))
    assert error.endswith("CONFIG_HIGHMEM: unknown name: write HIGHMEM without CONFIG_")
    (error,) = errors(TEXT + "zzzzz: 1\n")
    assert error.endswith("zzzzz: unknown name, expected one of " + ", ".join(KernelBuild.KERNEL_NAMES.values()))
    (error,) = errors(TEXT + "? [a]\n: 1\n")
    assert error.endswith("a list as a name, expected text")


def test_duplicate_name_gives_both_places():
    line = next(i for i, text in enumerate(LINES, 1) if text.startswith("  HIGHMEM:"))
    (error,) = errors(TEXT.replace("  HIGHPTE: true\n", "  HIGHPTE: true\n  HIGHMEM: false\n"))
    assert error == f"b.yaml:{line + 2}:3: config: HIGHMEM: given again, expected once: the first is at {line}:3"


def test_missing_names():
    line = next(i for i, text in enumerate(LINES, 1) if text.startswith("sizeof:"))
    (error,) = errors(TEXT.replace("  struct page: 32\n", ""))
    assert error == f"b.yaml:{line + 1}:3: sizeof: struct page: missing, expected a whole number"
    found = errors("schema: 1\n")
    assert "b.yaml:1:1: config: missing, expected a mapping of names to values" in found
    assert len(found) == sum(attribute not in KernelBuild.DEFAULTS for attribute in KernelBuild.KERNEL_NAMES) - 1


def test_every_error_is_reported_in_the_order_of_the_file():
    text = TEXT.replace("  HIGHMEM: true", "  HIGHMEM: maybe").replace("  _end:", "  _ende:").replace("32\n", "x\n")
    found = errors(text)
    lines = [int(error.split(":")[1]) for error in found]
    assert len(found) >= 4
    assert lines == sorted(lines)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "b.yaml: empty"),
        ("# nothing\n", "b.yaml: empty"),
        ("3", "b.yaml:1:1: 3, expected a kernel build (a mapping)"),
        ("- a\n", "b.yaml:1:1: a list, expected a kernel build (a mapping)"),
        ("a: [1\n", "b.yaml:2:1: not YAML: "),
        ("a: b: c\n", "b.yaml:1:5: not YAML: "),
        ("a: *b\n", "b.yaml:1:4: not YAML: "),
        ("---\na: 1\n---\nb: 2\n", "b.yaml:3:1: not YAML: "),
        ("a: \x01\n", "b.yaml"),
        ("[" * 500, "b.yaml:1:21: nested 21 deep"),
        ("- " * 500, "b.yaml:1:41: nested 21 deep"),
        ("[" * 100_000, "b.yaml:1:"),  # told by whoever notices first, PyYAML or bootsim
        ("- " * 100_000, "b.yaml:1:"),
        ("&a [*a]\n", "b.yaml:1:1: a list, expected a kernel build"),
    ],
)
def test_text_that_is_no_build(text, message):
    found = errors(text)
    assert found[0].startswith(message)
    assert "\n" not in found[0]


def test_bytes_that_are_no_text(tmp_path):
    path = tmp_path / "x.yaml"
    path.write_bytes(b"schema: 1\nname: \xff\xfe\n")
    with pytest.raises(InputError, match=r"x\.yaml:2: not UTF-8 text"):
        load_build(path)
    path.write_bytes(bytes(2 << 20))
    with pytest.raises(InputError, match=r"x\.yaml: more than 1 MiB, expected a kernel build"):
        load_build(path)


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("PAGE_OFFSET", "0x80000000", "PAGE_OFFSET: 0x80000000, expected 0xc0000000 since VMSPLIT_3G is set"),
        (
            "PAGE_OFFSET",
            "0xc0100000",
            "PAGE_OFFSET: 0xc0100000, expected a kernel address that is a multiple of 16 MiB",
        ),
        ("PAGE_OFFSET", "0", "PAGE_OFFSET: 0x0, expected a kernel address"),
        ("_text", "0xc1008000", "_text: 0xc1008000, expected 0x4000 to 16 MiB above PAGE_OFFSET"),
        ("swapper_pg_dir", "0xc0003000", "swapper_pg_dir: 0xc0003000, expected 0xc0004000, 16 KiB below _text"),
        ("_etext", "0xc0000000", "_etext: 0xc0000000, expected at least 0xc0100000 (_stext)"),
        ("_end", "0x100000000", "_end: 0x100000000, expected a kernel address"),
        ("__turn_mmu_on_end", "0xc0100000", ""),
        ("__turn_mmu_on_end", "0xc0200000", "__turn_mmu_on: 0xc0100000, expected _text <= "),
        ("__init_end", "0xc0bfffff", "__init_end: 0xc0bfffff, expected a multiple of 0x100000 since STRICT_KERNEL_RWX"),
        ("bm_pte", "0xc0b44004", "bm_pte: 0xc0b44004, expected a page between __init_begin and __init_end"),
        ("__per_cpu_end", "0xc0b52000", "__per_cpu_start: 0xc0b52000, expected __init_begin <= __per_cpu_start < "),
        ("__start_rodata_section_aligned", "0xc0a00000", "expected 0xc0900000, __start_rodata rounded up to 1 MiB"),
        ("__start_rodata_section_aligned", "0", "0x0, expected 0xc0900000, __start_rodata rounded up to 1 MiB"),
        ("SMP", "false", "NR_CPUS: 8 without SMP, expected 1"),
        ("NR_CPUS", "33", "NR_CPUS: 33, expected 1 to 32"),
        ("FORCE_MAX_ZONEORDER", "64", "FORCE_MAX_ZONEORDER: 64, expected 2 to 20"),
        ("LOG_BUF_SHIFT", "40", "LOG_BUF_SHIFT: 40, expected 10 to 25"),
        ("SLUB", "false", "config: none set, expected exactly one of SLAB, SLUB, SLOB"),
        ("CMA_SIZE_SEL_MBYTES", "false", "config: none set, expected exactly one of CMA_SIZE_SEL_MBYTES"),
        ("CMA", "false", "DMA_CMA: true, expected CMA: true with it"),
        ("ARM_PATCH_PHYS_VIRT", "false", "config: PHYS_OFFSET: not set, expected an address"),
        ("struct page", "33", "struct page: 33, expected a positive multiple of 4"),
        ("struct page", "-32", "struct page: -32, expected a positive multiple of 4"),
        ("banner", "Linux version 6.1.0", "banner: 'Linux version 6.1.0', expected one line"),
        ("name", '" "', "name: empty, expected a name"),
    ],
)
def test_contradictions_are_found(name, value, message):
    text, _ = changed(name, value)
    if not message:
        assert parse(text)
        return
    found = errors(text)
    assert any(message in error for error in found)
    assert all(re.match(r"b\.yaml:\d+:\d+: ", error) for error in found)


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("  SLAB: true", "SLUB: SLAB and SLUB set, expected exactly one"),
        ("  SPARSEMEM: true", "SPARSEMEM: FLATMEM and SPARSEMEM set, expected exactly one"),
        ("  ARM_LPAE: true", "ARM_LPAE: true: LPAE's long descriptors is not modelled"),
        ("  NUMA: true", "NUMA: true: NUMA is not modelled"),
        ("  PAGE_EXTENSION: true", "struct page_ext: not given, expected a size since PAGE_EXTENSION is set"),
        ("  PHYS_OFFSET: 0x1_0000_0000", "PHYS_OFFSET: 0x100000000, expected a 32-bit address"),
    ],
)
def test_contradictions_of_an_added_line(line, message):
    found = errors(TEXT.replace("  HIGHPTE: true\n", f"  HIGHPTE: true\n{line}\n"))
    assert any(message in error for error in found)


def test_build_without_rwx_has_no_section_aligned_rodata():
    text = re.sub(r"  (STRICT_KERNEL_RWX|__start_rodata_section_aligned):.*\n", "", TEXT)
    assert parse(text).symbols.start_rodata_section_aligned == 0


def test_exact_build_assumes_nothing():
    (error,) = errors(TEXT + 'assumed: ["struct zone"]\n')
    assert 'provenance: "exact", expected "derived": struct zone is only assumed' in error
    assert parse(TEXT.replace('"exact"', '"derived"') + 'assumed: ["struct zone"]\n').assumed == ("struct zone",)


def test_no_problem_is_reported_at_a_name_the_schema_has_not():
    build = load_build("3G/1G")
    symbols = build.symbols.replace(**dict.fromkeys(Symbols.KERNEL_NAMES, 7))
    sizes = build.sizeof.replace(**dict.fromkeys(Sizeof.KERNEL_NAMES, 3))
    config = build.config.replace(SMP=False, SLUB=False, CMA=False, NUMA=True, PAGE_OFFSET=5, PAGE_OWNER=True)
    machines = (MachineDesc(symbol="X", name="x", dt_compat="", nr=-1, dma_zone_size=1 << 40),)
    wrong = build.replace(symbols=symbols, sizeof=sizes, config=config, machines=machines, banner="", name="")
    sections = {"config": Config, "symbols": Symbols, "sizeof": Sizeof}
    found = list(problems(wrong))
    assert len(found) > 30
    for path, _ in found:
        if path[0] in sections and len(path) > 1:
            assert path[1] in sections[path[0]].KERNEL_NAMES.values()


# A value changed into any other, and text cut and spliced anywhere: an InputError or a build, never anything else.
scalars = st.one_of(
    st.integers(-(1 << 70), 1 << 70).map(str),
    st.sampled_from(
        ["", "~", "true", "no", "0x", "0x_1", "-0", "1_", "!!int x", "!!binary aa", "*a", "&a b", "|", ">", "? a"]
    ),
    st.text(max_size=20),
)


@settings(max_examples=400, deadline=None)
@given(st.integers(0, len(LINES) - 1), scalars)
def test_fuzz_values(number, value):
    lines = list(LINES)
    lines[number] = re.sub(r":.*", lambda _: f": {value}", lines[number], count=1)
    _parses_or_says_why("".join(lines).encode("utf-8", "surrogatepass"))


@settings(max_examples=400, deadline=None)
@given(st.data())
def test_fuzz_bytes(data):
    text = bytearray(TEXT.encode())
    for _ in range(data.draw(st.integers(1, 4))):
        start = data.draw(st.integers(0, len(text)))
        end = min(len(text), start + data.draw(st.integers(0, 40)))
        text[start:end] = data.draw(
            st.one_of(st.binary(max_size=12), st.sampled_from([b"\n", b": ", b"\t", b"- ", b"[", b"{"]))
        )
    _parses_or_says_why(bytes(text))


@settings(max_examples=200, deadline=None)
@given(st.lists(st.integers(0, len(LINES) - 1), min_size=1, max_size=5), st.integers(0, 6))
def test_fuzz_lines(numbers, indent):
    lines = list(LINES)
    for number in numbers:
        lines.insert(number, " " * indent + lines[-number % len(lines)].lstrip())
    _parses_or_says_why("".join(lines).encode())


def _parses_or_says_why(data: bytes) -> None:
    try:
        build = parse_build(data, "b.yaml")
    except InputError as error:
        assert all(line.startswith("b.yaml") for line in str(error).splitlines())
    else:
        assert not list(problems(build))
        assert parse_build(render(build).encode(), "again") == build


def test_pure_python_loader_agrees(monkeypatch):
    monkeypatch.setattr(configyaml, "_Loader", yaml.SafeLoader)
    assert configyaml.read_yaml(TEXT, "b.yaml") == load_build("3G/1G")
    assert errors("[" * 50)[0].startswith("b.yaml:1:21: nested 21 deep")


def test_every_field_is_documented():
    text = (ROOT / "docs/configs.md").read_text()
    fields = [
        name for kind in (KernelBuild, Config, Symbols, Sizeof, MachineDesc) for name in kind.KERNEL_NAMES.values()
    ]
    assert [name for name in fields if f"`{name}`" not in text] == []


def test_types_of_the_schema_are_those_the_reader_knows():
    known = (int, bool, str, int | None, str | None)
    for kind in (Config, Symbols, Sizeof, MachineDesc):
        assert all(annotation in known for annotation in kind.__annotations__.values()), kind


# ---------------------------------------------------------------- the plain reader


@pytest.mark.parametrize("path", sorted((ROOT / "configs").glob("*.yaml")), ids=lambda path: path.name)
def test_what_is_written_is_plain_and_means_in_yaml_the_same(path):
    text = path.read_text()
    assert read_plain(text) == configyaml.read_yaml(text, path.name) is not None


@given(st.data())
def test_what_the_plain_reader_takes_means_in_yaml_the_same(data):
    # one line of a description changed, moved or given twice
    lines = TEXT.split("\n")
    at = data.draw(st.integers(0, len(lines) - 1))
    changed = data.draw(st.sampled_from([
        *(pad + lines[at].strip() for pad in ("", " ", "  ", "    ", "  - ")), f"{lines[at]}\n{lines[at]}", "",
        f"{lines[at]} # more", lines[at].replace(" ", "  "), lines[at].replace(":", ": :"), lines[at] + ":",
        lines[at].replace("true", "True"), lines[at].replace('"', "'"), lines[at].replace("0x", "0X"),
        lines[at].replace("1", "true"), lines[at].replace("true", "1"), lines[at].partition(":")[0] + ":",
        lines[data.draw(st.integers(0, len(lines) - 1))],
    ]))  # fmt: skip
    text = "\n".join([*lines[:at], changed, *lines[at + 1 :]])
    build = read_plain(text)
    if build is not None:
        assert build == configyaml.read_yaml(text, "b.yaml")
