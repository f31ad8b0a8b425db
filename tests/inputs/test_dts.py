"""Source to blob: dtc's blob, byte for byte, and errors that name the line as it was written."""

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from bootsim.errors import InputError
from bootsim.inputs.devicetree import bundled_names, load_tree
from bootsim.inputs.dtb import read_tree

ROOT = Path(__file__).parents[2]
DATA = ROOT / "tests" / "data" / "dts"
INCLUDE = DATA / "include"
TRICKY = sorted(path.name for path in DATA.glob("*.dts"))
VEXPRESS = ["vexpress-v2p-ca9", "vexpress-v2p-ca15-tc1", "vexpress-v2p-ca15_a7", "vexpress-v2p-ca5s"]

needs_dtc = pytest.mark.skipif(
    not (shutil.which("dtc") and shutil.which("cpp")), reason="dtc and cpp, which are compared with, are not installed"
)


def dtc(path, *include_dirs):
    """What the kernel's build makes of a source file: cpp, then dtc."""
    include = [arg for folder in include_dirs for arg in ("-I", str(folder))]
    cpp = ["cpp", "-nostdinc", *include, "-undef", "-D__DTS__", "-x", "assembler-with-cpp", str(path)]
    text = subprocess.run(cpp, stdout=subprocess.PIPE, check=True).stdout
    search = [arg for folder in (path.parent, *include_dirs) for arg in ("-i", str(folder))]
    command = ["dtc", "-q", "-I", "dts", "-O", "dtb", "-b", "0", *search, "-"]
    return subprocess.run(command, input=text, stdout=subprocess.PIPE, check=True).stdout


def nodes(blob):
    return [(path, list(node.props)) for path, node in read_tree(blob).walk()]


def same(ours, theirs):
    assert nodes(ours) == nodes(theirs)
    assert ours == theirs


@needs_dtc
@pytest.mark.parametrize("name", TRICKY)
def test_tricky_sources_give_dtcs_blob(name):
    same(load_tree(DATA / name, [INCLUDE]).blob, dtc(DATA / name, INCLUDE))


@needs_dtc
@pytest.mark.parametrize("name", bundled_names())
def test_bundled_boards_give_dtcs_blob(name):
    same(load_tree(name).blob, dtc(ROOT / "dts" / name))


@needs_dtc
@pytest.mark.parametrize("name", VEXPRESS)
def test_the_kernels_own_vexpress_trees_give_dtcs_blob(name):
    kernel = os.environ.get("KERNEL_SRC")
    if not kernel:
        pytest.skip("KERNEL_SRC does not name a Linux 5.10 source tree")
    bindings = Path(kernel, "scripts/dtc/include-prefixes")
    path = Path(kernel, "arch/arm/boot/dts", f"{name}.dts")
    same(load_tree(path, [bindings]).blob, dtc(path, bindings))


def test_sizes_of_the_bundled_boards():
    # The kernel reserves the blob: these are the sizes of the kernel's own vexpress-v2p-ca9 and vexpress-v2p-ca15-tc1.
    assert len(load_tree("vexpress.dts").blob) == 14171
    assert len(load_tree("vexpress-ca15.dts").blob) == 13209


# ---------------------------------------------------------------- without dtc


def compiled(tmp_path, text, name="board.dts"):
    path = tmp_path / name
    path.write_text(text)
    return dict(nodes(load_tree(path).blob))


def test_a_property_keeps_its_place_and_a_new_one_comes_last(tmp_path):
    tree = compiled(tmp_path, "/dts-v1/; / { a; b = <1>; }; / { b; c; a = <2>; /delete-property/ c; d; c; };")
    assert tree["/"] == [("a", b"\0\0\0\2"), ("b", b""), ("c", b""), ("d", b"")]


def test_the_name_property_is_left_out(tmp_path):
    assert compiled(tmp_path, '/dts-v1/; / { n@1 { name = "n"; x; }; };')["/n@1"] == [("x", b"")]


def test_strings_are_shared_by_their_tails(tmp_path):
    (tmp_path / "t.dts").write_text("/dts-v1/; / { a { reg-shift; }; b { shift; }; };")
    assert load_tree(tmp_path / "t.dts").blob.count(b"shift\0") == 1


def test_macros_split_over_lines_and_plain_lines_between(tmp_path):
    text = (
        "#define TWO(a, b) a b\n/dts-v1/;\n/ {\n\tx = <1\n2>;\n\ty = <TWO\n\n(3,\n4) 5>;\n"
        "\tz = <TWO(6,\n7)>;\n\tw;\n};\n"
    )
    tree = compiled(tmp_path, text)
    assert tree["/"] == [
        ("x", bytes([0, 0, 0, 1, 0, 0, 0, 2])),
        ("y", bytes([0, 0, 0, 3, 0, 0, 0, 4, 0, 0, 0, 5])),
        ("z", bytes([0, 0, 0, 6, 0, 0, 0, 7])),
        ("w", b""),
    ]


def test_where_names_the_line_through_includes_and_macros():
    tree = load_tree(DATA / "macros.dts", [INCLUDE])
    source = (DATA / "macros.dts").read_text().splitlines()
    for prop in ("not", "url", "angle", "joined", "long"):
        file, line = tree.where("/", prop).rsplit(":", 1)
        assert file == str(DATA / "macros.dts")
        assert source[int(line) - 1].strip().startswith(prop)
    assert tree.where("/part").endswith("sub/part.dtsi:4")
    assert tree.where("/plain", "from").endswith("sub/plain.dtsi:1")
    assert tree.where("/last").endswith(f"macros.dts:{1 + next(i for i, s in enumerate(source) if 'last {' in s)}")


def test_where_names_the_line_of_a_node_in_a_node(tmp_path):
    path = tmp_path / "board.dts"
    path.write_text("/dts-v1/;\n/ {\n\ta {\n\t\tb\n\t\t{\n\t\t\tx;\n\t\t};\n\t\tc { };\n\t};\n};\n")
    tree = load_tree(path)
    assert [tree.where(*place) for place in (("/a",), ("/a/b",), ("/a/b", "x"), ("/a/c",))] == [
        f"{path}:{line}" for line in (3, 4, 6, 8)]


# ---------------------------------------------------------------- errors


def refused(path, *words, include_dirs=()):
    with pytest.raises(InputError) as caught:
        load_tree(path, include_dirs)
    for word in words:
        assert word in str(caught.value)


@pytest.mark.parametrize(
    ("text", "line", "word"),
    [
        ("/dts-v1/;\n/ {\n\tx = ;\n};\n", 3, "malformed value"),
        ("/dts-v1/;\n/ {\n\tx\n};\n", 4, "expected"),  # the } is what should not be there
        ("/dts-v1/;\n/ {\n\tx = <0x100000000>;\n};\n", 3, "32 bits"),
        ("/dts-v1/;\n/ {\n\tx = /bits/ 8 <256>;\n};\n", 3, "8 bits"),
        ("/dts-v1/;\n/ {\n\tx = <(1 / 0)>;\n};\n", 3, "division by zero"),
        ("/dts-v1/;\n/ {\n\tx = <08>;\n};\n", 3, ""),
        ("/dts-v1/;\n/ { };\n\n&nowhere { };\n", 4, "nowhere"),
        ("/dts-v1/;\n/ {\n\tn { name = \"m\"; };\n};\n", 3, "name"),
        ("/dts-v1/;\n#if 1\n/ { };\n", 2, "Unterminated"),
        ("/dts-v1/;\n\n#error no such board\n/ { };\n", 3, "no such board"),
        ("/dts-v1/;\n#define F(a) a\n/ {\n\tx = <F(1, 2)>;\n};\n", 4, "F"),
        ('/dts-v1/;\n#include "nowhere.dtsi"\n/ { };\n', 2, "nowhere.dtsi"),
        ('/dts-v1/;\n/ { };\n/include/ "nowhere.dtsi"\n', 3, "nowhere.dtsi"),
        ('/dts-v1/;\n/ {\n\tx = /incbin/("/dev/zero");\n};\n', 3, "regular"),
        ('/dts-v1/;\n#include "/dev/zero"\n', 2, "regular"),
        ("/dts-v1/;\n#include FOO\n", 2, "include"),
    ],
)  # fmt: skip
def test_errors_name_the_line(tmp_path, text, line, word):
    path = tmp_path / "board.dts"
    path.write_text(text)
    refused(path, f"{path}:{line}:", word)


def test_an_error_in_an_include_names_the_include(tmp_path):
    (tmp_path / "sub").mkdir()
    (tmp_path / "sub" / "part.dtsi").write_text("\n\n/ { x = <; };\n")
    (tmp_path / "board.dts").write_text('/dts-v1/;\n#include "sub/part.dtsi"\n/ { };\n')
    refused(tmp_path / "board.dts", "sub/part.dtsi:3:")


@pytest.mark.parametrize("include", ['#include "{}"', '/include/ "{}"'])
def test_include_circles(tmp_path, include):
    (tmp_path / "board.dts").write_text(f"/dts-v1/;\n{include.format('sub/other.dtsi')}\n/ {{ }};\n")
    (tmp_path / "sub").mkdir()
    (tmp_path / "sub" / "other.dtsi").write_text("\n" + include.format("../board.dts") + "\n")
    refused(tmp_path / "board.dts", "circle", "board.dts", "other.dtsi:2")


def test_a_guarded_circle_is_harmless(tmp_path):
    (tmp_path / "a.dtsi").write_text('#ifndef A\n#define A 7\n#include "b.dtsi"\n#endif\n')
    (tmp_path / "b.dtsi").write_text('#include "a.dtsi"\n')
    assert compiled(tmp_path, '/dts-v1/;\n#include "a.dtsi"\n/ { x = <A>; };')["/"] == [("x", b"\0\0\0\7")]


def test_macros_that_explode(tmp_path, monkeypatch):
    monkeypatch.setattr("bootsim.inputs.dtscpp.MAX_TOKENS", 10_000)
    lines = ["#define A0 1 1 1 1", *(f"#define A{i} A{i - 1} A{i - 1} A{i - 1} A{i - 1}" for i in range(1, 20))]
    (tmp_path / "board.dts").write_text("/dts-v1/;\n" + "\n".join(lines) + "\n/ { x = <A19>; };\n")
    refused(tmp_path / "board.dts", "macros expand to more than")


def test_deep_nesting_is_an_error_not_a_crash(tmp_path):
    (tmp_path / "a.dts").write_text("/dts-v1/;\n/ {" + "n {" * 3000)
    refused(tmp_path / "a.dts", "nested too deeply")
    (tmp_path / "b.dts").write_text("/dts-v1/;\n/ { x = <" + "(" * 3000)
    refused(tmp_path / "b.dts", "nested too deeply")


def test_windows_line_ends_and_a_byte_order_mark(tmp_path):
    (tmp_path / "a.dts").write_bytes(b"\xef\xbb\xbf/dts-v1/;\r\n#define A 1\r\n/ {\r\n\tx = <A>;\r\n};\r\n")
    assert dict(nodes(load_tree(tmp_path / "a.dts").blob))["/"] == [("x", b"\0\0\0\1")]


def test_a_form_feed_does_not_shift_lines(tmp_path):
    (tmp_path / "a.dts").write_text("/dts-v1/;\n\f\n#define A 1\n/ {\n\tx = <A;\n};\n")
    refused(tmp_path / "a.dts", "a.dts:5:")


# ---------------------------------------------------------------- what a source may reach


@pytest.fixture
def outside(tmp_path):
    """A folder with a secret beside the one that holds the tree, which `load` compiles."""
    (tmp_path / "outside").mkdir()
    (tmp_path / "outside/secret").write_bytes(b"secret")
    (tmp_path / "outside/part.dtsi").write_text("/ { part; };\n")
    (tmp_path / "board").mkdir()
    (tmp_path / "board/link.dtsi").symlink_to(tmp_path / "outside/part.dtsi")

    def load(text, *include_dirs, **how):
        (tmp_path / "board/board.dts").write_text(f"/dts-v1/;\n{text.format(outside=tmp_path / 'outside')}\n")
        return load_tree(tmp_path / "board/board.dts", include_dirs, **how)

    return load


BEYOND = [
    '/ {{ x = /incbin/("../outside/secret"); }};', '/ {{ x = /incbin/("{outside}/secret"); }};',
    '#include "{outside}/part.dtsi"\n/ {{ }};', '/include/ "{outside}/part.dtsi"\n/ {{ }};',
    '#include "link.dtsi"\n/ {{ }};', '/include/ "link.dtsi"\n/ {{ }};',
]  # fmt: skip


@pytest.mark.parametrize("text", BEYOND)
def test_files_elsewhere_are_taken_in_only_when_that_is_allowed(outside, tmp_path, text):
    with pytest.raises(InputError, match=r"board\.dts:2: .*outside the tree's folder.*--allow-outside"):
        outside(text)
    assert outside(text, allow_outside=True).blob == outside(text, tmp_path / "outside").blob


@pytest.mark.parametrize("text", BEYOND)
def test_a_folder_given_with_i_is_within_reach(outside, tmp_path, text):
    assert outside(text, tmp_path / "outside").blob


@pytest.mark.parametrize("include", ['#include "../outside/part.dtsi"', '/include/ "../outside/part.dtsi"'])
def test_source_text_may_stand_beside_the_folder(outside, include):
    assert outside(f"{include}\n/ {{{{ }}}};").root.props == (("part", b""),)


def test_a_tree_in_a_kernels_source_finds_the_kernels_includes(tmp_path):
    prefixes, boards = tmp_path / "scripts/dtc/include-prefixes", tmp_path / "arch/arm/boot/dts"
    for folder in (prefixes, boards, tmp_path / "include/dt-bindings"):
        folder.mkdir(parents=True)
    (prefixes / "dt-bindings").symlink_to("../../../include/dt-bindings")
    (tmp_path / "include/dt-bindings/x.h").write_text("#define X 7\n")
    (boards / "board.dts").write_text("/dts-v1/;\n#include <dt-bindings/x.h>\n/ { x = <X>; };\n")
    assert load_tree(boards / "board.dts").root.props == (("x", b"\0\0\0\7"),)


def test_a_folder_of_includes_that_is_not_there(tmp_path):
    with pytest.raises(InputError, match=r"-I .*no such folder"):
        load_tree("vexpress.dts", [tmp_path / "gone"])
