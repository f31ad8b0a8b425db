"""Modules: every section where Debian's kernel puts it, permissions of pages, what is freed; files that are none."""

import json
import random
from pathlib import Path

import pytest

import bootsim
from bootsim.errors import InputError
from bootsim.inputs.configfile import load_build
from bootsim.linux.kernel.module import ModuleError, delete_module, layout_and_allocate, load_module
from bootsim.linux.kernel.module.elf import LoadInfo
from bootsim.linux.mm.vmalloc.alloc import vfree
from bootsim.linux.mm.vmalloc.area import vmap_state

GOLDEN = Path(__file__).parents[2] / "golden"


@pytest.fixture(scope="module")
def files(unpack, tmp_path_factory):
    return unpack("modules/deb510armmp", tmp_path_factory.mktemp("modules")) / "modules"


@pytest.fixture(scope="module")
def booted():
    return bootsim.boot("vexpress.dts", mem="512M", config=load_build(GOLDEN / "builds/deb510armmp.yaml"))


@pytest.fixture
def k(booted):
    return booted.copy()


def read(files, name):
    return (files / f"{name}.ko").read_bytes(), f"{name}.ko"


@pytest.mark.golden
def test_every_section_lies_where_the_real_kernel_puts_it(k, files):
    real = json.loads((files / "loaded.json").read_text())
    for one in real["insmod"]:
        data, place = read(files, one["module"])
        if one["result"]:  # a symbol was not found: its memory is given back, and waits
            mod = layout_and_allocate(k, LoadInfo(k, data, place))
            vfree(k, mod.init_layout.base)
            vfree(k, mod.core_layout.base)
            continue
        mod = load_module(k, data, place)
        end = mod.core_layout.base + mod.core_layout.size
        kept = {name: va for name, va in one["sections"].items() if mod.core_layout.base <= va < end}
        assert kept
        assert mod.sections == kept
    loaded = {name: [mod.core_layout.size, mod.core_layout.base] for name, mod in k.mm.modules.items()}
    assert loaded == real["proc_modules"]


def test_text_is_read_only_and_data_is_not_executed(k, files):
    mod = load_module(k, *read(files, "ts_kmp"))
    text, data, rodata = (mod.sections[name] for name in (".text", ".data", ".note.Linux"))
    assert k.translate(text, "execute")
    assert not k.translate(text, "write")
    assert not k.translate(rodata, "write")
    assert not k.translate(rodata, "execute")
    assert k.translate(data, "write")
    assert not k.translate(data, "execute")
    assert b"Linux\0" in k.read(rodata, 64)


def test_the_bytes_of_a_section_are_there_and_the_first_part_is_gone(k, files):
    data, place = read(files, "ecb")
    info = LoadInfo(k, data, place)
    mod = load_module(k, data, place)
    text = info.by_name(".text")
    assert k.read(mod.sections[".text"], text.size) == text.data
    assert ".init.text" not in mod.sections
    assert mod.init_layout.size == 0
    assert [vm.caller for vm in k.mm.vmap.vms.values() if vm.pages] == ["load_module"]
    assert not k.mm.vmap.areas.purge
    delete_module(k, "ecb")
    assert not [vm for vm in k.mm.vmap.vms.values() if vm.pages]
    assert not k.translate(mod.sections[".text"])


def test_without_strict_permissions_pages_stay_as_they_were_and_addresses_wait(k, files):
    k.build = k.build.replace(config=k.build.config.replace(STRICT_MODULE_RWX=False))
    mod = load_module(k, *read(files, "crc4"))
    assert k.translate(mod.sections[".text"], "write")
    assert len(k.mm.vmap.areas.purge) == 2  # the file's copy, and the part that is freed


def test_a_module_is_there_once(k, files):
    load_module(k, *read(files, "crc4"))
    with pytest.raises(ModuleError, match="loaded already"):
        load_module(k, *read(files, "crc4"))
    delete_module(k, "crc4")
    with pytest.raises(ModuleError, match="no module 'crc4'"):
        delete_module(k, "crc4")


def test_no_memory_for_a_module_keeps_nothing(k, files):
    k.build = k.build.replace(config=k.build.config.replace(ARM_MODULE_PLTS=False))
    layout = k.mm.layout
    k.mm.layout.MODULES_END = layout.MODULES_VADDR + (6 << 12)  # room for one part, not for two
    assert load_module(k, *read(files, "nfnetlink")) is None
    assert not k.mm.modules
    assert not [vm for vm in k.mm.vmap.vms.values() if vm.pages]


def test_a_module_whose_first_part_cannot_be_freed_later_goes_again(k, files, monkeypatch):
    before = len(vmap_state(k).vms)
    monkeypatch.setattr("bootsim.linux.kernel.module.kmalloc", lambda *_: 0)
    assert load_module(k, *read(files, "nfnetlink")) is None
    assert not k.mm.modules
    assert len(k.mm.vmap.vms) == before


@pytest.mark.parametrize(("data", "told"), [
    (b"", "x.ko"),
    (b"\x7fELF" + bytes(60), "x.ko"),
    (Path("/proc/self/exe").read_bytes()[:4096], "x.ko"),
])
def test_what_is_no_module_is_refused(k, data, told):
    with pytest.raises(InputError, match=told):
        load_module(k, data, "x.ko")


@pytest.mark.parametrize("seed", range(60))
def test_a_broken_file_is_refused_or_loaded_and_nothing_worse(k, files, seed):
    rng = random.Random(seed)
    data = bytearray(read(files, "ts_kmp")[0])
    for _ in range(rng.choice((1, 3, 20))):
        data[rng.choice((rng.randrange(64), rng.randrange(len(data))))] = rng.randrange(256)
    try:
        load_module(k, bytes(data), "x.ko")
    except (InputError, ModuleError) as error:
        assert "\n" not in str(error)
