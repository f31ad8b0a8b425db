"""Both levels of a page table as a picture."""

from xml.etree import ElementTree

import pytest

import bootsim
from bootsim.errors import InputError
from bootsim.lab.session import Session
from bootsim.views import alive


@pytest.fixture(scope="module")
def lab():
    lab = Session(bootsim.boot("vexpress.dts", config="3G/1G", mem="1G"), alive.text)
    lab.names()
    return lab


def boxes(drawing):
    return {box.key: box for column in drawing.columns for box in column}


def test_the_vectors_have_both_halves(lab, tmp_path):
    drawing = lab.picture(0xFFFF0000)
    found = boxes(drawing)
    assert set(found) == {"pgd", "linux 0", "linux 1", "table 0", "table 1", "frame"}
    assert [row.to for row in found["pgd"].rows] == ["table 0", "table 1"]
    (_, first), (_, second) = lab.k.translate(0xFFFF0000).descriptors
    assert f"{first:08x}" in found["pgd"].rows[1].text
    assert f"[0xf0] {(first & ~0x3FF) + 4 * 0xF0:#010x}: {second:08x}" == found["table 1"].rows[1].text
    linux = lab.k.machine.ram.read32((first & ~0xFFF) + 0x400 + 4 * 0xF0)
    assert f"{linux:08x}  present, young, dirty, read-only, user" in found["linux 1"].rows[1].text
    assert found["table 1"].rows[0].text == "2 of 256 entries in use"
    assert found["table 1"].rows[1].to == "frame"
    drawing.save(tmp_path / "a.svg")
    assert ElementTree.parse(tmp_path / "a.svg").getroot().tag.endswith("svg")


def test_a_section_has_no_second_level(lab):
    found = boxes(lab.picture(lab.k.build.config.PAGE_OFFSET))
    assert set(found) == {"pgd", "section 0", "section 1"}
    assert found["section 0"].rows[0].text.startswith("pa 0x60000000, normal, kernel rw, user -")


def test_where_nothing_is(lab):
    assert [row.text.partition("  ")[2] for row in boxes(lab.picture(0x1000))["pgd"].rows] == [
        "nothing for 0x00000000", "nothing for 0x00100000"]
    for wrong in (1 << 32, -1, True):
        with pytest.raises(InputError):
            lab.picture(wrong)
