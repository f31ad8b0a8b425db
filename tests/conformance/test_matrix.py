"""matrix.yaml: what it expands to, and what is said of mistakes."""

from pathlib import Path

import pytest
from realboot import UsageError, matrix, trees

HERE = Path(__file__).parent
GROUP = {"trees": ["dts:vexpress.dts"], "mem": ["512M"]}


def matrix_of(*groups, **kernels):
    return {"kernels": kernels or {"a": {}}, "boots": list(groups)}


def test_a_group_is_every_combination():
    group = {"trees": ["dts:vexpress.dts", "own:banks.dts"], "mem": ["512M", "1G"], "cpus": [1, 4],
             "cmdline": ["", "vmalloc=512M  mem=300M"]}
    boots = matrix.expand(matrix_of(group, a={}, b={"options": {"HIGHMEM": "y"}}))
    assert len(boots) == 2 * 2 * 2 * 2 * 2
    assert boots[0].name == "a/vexpress/512M"
    assert boots[-1].name == "b/banks/1024M/4cpu/vmalloc=512M/mem=300M"
    assert boots[1].bootargs == f"{matrix.ALWAYS} {matrix.DEBUG} vmalloc=512M mem=300M"
    assert len({boot.name for boot in boots}) == len(boots)


def test_single_values_need_no_list_and_repeated_boots_count_once():
    group = {"kernels": "a", "trees": "dts:vexpress.dts", "mem": "1G", "initrd": "3M"}
    (boot,) = matrix.expand(matrix_of(group, group))
    assert (boot.mem_mib, boot.initrd_bytes, boot.cpus) == (1024, 3 << 20, 1)


def test_builds_at_hand_replace_one_kernel_or_all():
    data = matrix_of(GROUP, a={}, b={})
    assert [boot.name for boot in matrix.expand(data, ["/builds/mine"])] == ["mine/vexpress/512M"]
    named = matrix.expand(data, ["b=/builds/mine"])
    assert [(boot.kernel.name, boot.kernel.directory) for boot in named] == [("a", None), ("b", Path("/builds/mine"))]


@pytest.mark.parametrize(("value", "written"), [
    (True, "y"), (False, "n"), ("y", "y"), ("m", "m"), (64, "64"), ("0x1000", "0x1000"), ("-1", "-1"),
    ("console=x", '"console=x"'), ('a "b"', '"a \\"b\\""'), ("", '""'),
])  # fmt: skip
def test_option_values_are_written_as_kconfig_has_them(value, written):
    assert matrix.option(value) == written


@pytest.mark.parametrize(("data", "message"), [
    ([], "the matrix: list, expected a mapping"),
    ({"kernels": {}, "boot": []}, "unknown key boot, expected boots, kernels"),
    (matrix_of(), "no boots"),
    (matrix_of({**GROUP, "memory": 1}), r"boots\[1\]: unknown key memory"),
    (matrix_of(GROUP, {**GROUP, "kernels": ["c"]}), r"boots\[2\]: no kernel is called c; there are a"),
    (matrix_of({**GROUP, "mem": ["512"]}), "mem is '512', expected a size"),
    (matrix_of({**GROUP, "mem": ["0M"]}), "mem is '0M'"),
    (matrix_of({**GROUP, "trees": ["vexpress.dts"]}), "tree 'vexpress.dts', expected linux:NAME"),
    (matrix_of({**GROUP, "cpus": 5}), "cpus is 5, expected 1 to 4"),
    (matrix_of({**GROUP, "dtb_addr": 0x62000000, "cpus": 2}), "with dtb_addr there is no loader"),
    (matrix_of(GROUP, a={"config": {}}), "kernel a: unknown key config"),
    (matrix_of(GROUP, **{"a/b": {}}), "expected a name of letters"),
    (matrix_of({**GROUP, "until": "setup_arch"}), "until is 'setup_arch', expected mem_init"),
    (matrix_of(GROUP, a={"described_from": "Image"}), "described_from is 'Image', expected vmlinux or System.map"),
])  # fmt: skip
def test_mistakes_are_named(data, message):
    with pytest.raises(UsageError, match=message):
        matrix.expand(data)


def test_a_broken_file_is_named(tmp_path):
    path = tmp_path / "matrix.yaml"
    with pytest.raises(UsageError, match=r"matrix\.yaml: No such file"):
        matrix.load(path)
    path.write_text("kernels: {")
    with pytest.raises(UsageError, match=r"matrix\.yaml"):
        matrix.load(path)


def test_a_board_has_a_machine_and_an_end():
    group = {**GROUP, "trees": ["linux:imx6q-sabrelite.dtb"], "machine": "sabrelite", "cpus": 4, "until": "mem_init"}
    (boot,) = matrix.expand(matrix_of(group))
    assert (boot.machine, boot.until) == ("sabrelite", "mem_init")
    assert boot.name == "a/imx6q-sabrelite/512M/on-sabrelite/4cpu"
    (boot,) = matrix.expand(matrix_of({**GROUP, "trees": ["qemu:virt"], "cpu": "cortex-a7"}))
    assert (boot.machine, boot.cpu, boot.until, boot.name) == ("virt", "cortex-a7", None, "a/virt/512M/cortex-a7")
    assert trees.blob(boot, None) == b""


def test_kernels_out_of_packages_are_booted_where_they_are_asked_for():
    debian = {"package": "linux-image-armmp", "described_from": "System.map"}
    data = matrix_of(GROUP, {**GROUP, "kernels": ["debian"]}, a={}, debian=debian)
    assert [boot.kernel.name for boot in matrix.expand(data)] == ["a", "debian"]
    assert [boot.kernel.name for boot in matrix.expand(data, ["/build"])] == ["debian", "build"]
    ours = [boot.kernel for boot in matrix.expand(data, ["debian=/at/hand"])][1]
    assert (ours.directory, ours.described_from) == (Path("/at/hand"), "System.map")


def test_select_takes_parts_of_names_and_globs():
    boots = matrix.expand(matrix_of({**GROUP, "mem": ["512M", "1G"]}, {**GROUP, "debug": False, "cmdline": "mem=1G"}))
    names = lambda *patterns: [boot.name for boot in matrix.select(boots, patterns)]  # noqa: E731
    assert len(names()) == 3
    assert names("1024") == ["a/vexpress/1024M"]
    assert names("a/*/512M") == ["a/vexpress/512M"]
    assert names("1024", "quiet") == ["a/vexpress/1024M", "a/vexpress/512M/quiet/mem=1G"]
    assert names("nothing") == []


def test_the_matrix_of_the_project_is_good_and_its_trees_are_there():
    boots = matrix.load(HERE / "matrix.yaml")
    kernels = {boot.kernel for boot in boots}
    assert len(kernels) >= 4
    assert {dict(kernel.options).get("SLAB") for kernel in kernels} == {None, "y"}
    ours = [boot.tree for boot in boots if not boot.tree.startswith(("linux:", "source:", "qemu:"))]
    assert ours
    assert all(trees.path_of(tree).is_file() for tree in ours)
    assert trees.dtbs(boots)


@pytest.mark.parametrize("path", sorted((HERE / "trees").glob("*.dts")), ids=lambda path: path.stem)
def test_the_trees_compile_and_get_their_command_line(path):
    (boot,) = matrix.expand(matrix_of({"trees": f"own:{path.name}", "mem": "1G", "dtb_addr": 0x62000000}))
    assert boot.bootargs.encode() + b"\0" in trees.blob(boot, None)
