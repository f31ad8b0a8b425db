"""mm/page_ext.c and mm/page_owner.c: what page_owner=on takes at boot. The numbers are worked out from the source."""

from __future__ import annotations

import pytest

import bootsim
from bootsim.errors import InputError
from bootsim.inputs.configfile import load_build


def build(**options):
    plain = load_build("3G/1G")
    sizes = plain.sizeof.replace(page_ext=4, page_owner=16)
    return plain.replace(config=plain.config.replace(PAGE_EXTENSION=True, **options), sizeof=sizes)


def boot(config, cmdline):
    return bootsim.boot("vexpress.dts", config, mem="512M", cmdline=cmdline)


def lines(k):
    return [r.text for r in k.log.records if r.kernel]


def test_page_owner_takes_twenty_bytes_a_page():
    # 512 MiB are 131072 pages, a whole number of largest blocks
    k = boot(build(PAGE_OWNER=True), "page_owner=on memblock=debug")
    log = lines(k)
    at = log.index("allocated 2621440 bytes of page_ext")
    assert log[at - 2] == ("memblock_alloc_try_nid: 2621440 bytes align=0x1000 nid=0 from=0x9fffffff "
                           "max_addr=0x00000000 page_ext_init_flatmem")
    assert log[at + 1] == "Node 0, zone   Normal: page owner found early allocated 131072 pages"
    assert log[at + 2].startswith("mem auto-init: ")
    assert k.facts.value("page_ext.size") == 2621440


def test_idle_page_tracking_takes_four_bytes_a_page_unasked():
    log = lines(boot(build(IDLE_PAGE_TRACKING=True), ""))
    assert "allocated 524288 bytes of page_ext" in log
    assert not [line for line in log if "page owner" in line]


@pytest.mark.parametrize(("options", "cmdline"), [
    ({"PAGE_OWNER": True}, ""), ({"PAGE_OWNER": True}, "page_owner=off"), ({}, "page_owner=on")])
def test_nobody_asks_nothing_is_taken(options, cmdline):
    assert not [line for line in lines(boot(build(**options), cmdline)) if "page_ext" in line]


def test_page_owner_without_a_value_is_malformed():
    assert "Malformed early option 'page_owner'" in lines(boot(build(PAGE_OWNER=True), "page_owner"))


def test_the_sizes_must_be_known():
    plain = load_build("3G/1G")
    lacking = plain.replace(config=plain.config.replace(PAGE_EXTENSION=True, IDLE_PAGE_TRACKING=True))
    with pytest.raises(InputError, match="sizeof struct page_ext"):
        boot(lacking, "")
