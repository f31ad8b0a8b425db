"""Derivations down to roots, and owners of addresses."""

from __future__ import annotations

from functools import partial

import pytest

from bootsim.causes import owner
from bootsim.errors import InputError
from bootsim.state.explain import derivation_lines, find
from bootsim.state.owner import Watcher, merged
from bootsim.state.replay import Replay
from bootsim.state.roots import PREFIXES, Roots


@pytest.fixture(scope="module")
def boot():
    return Replay("vexpress.dts", {"mem": "1G", "cmdline": "console=ttyAMA0 vmalloc=300M"})


@pytest.fixture(scope="module")
def roots(boot):
    return Roots(boot.k, boot.blob, boot.inputs)


def test_a_derivation_ends_in_roots_with_places(boot, roots):
    text = "\n".join(derivation_lines(boot.k.facts, roots, "arm_lowmem_limit"))
    assert "cmdline:vmalloc = 300M  (--cmdline)" in text
    assert "CONFIG_PAGE_OFFSET = 0xc0000000  (build 3G/1G)" in text
    assert "dtb:/memory@60000000:reg = <0x60000000 0x40000000>  (" in text
    assert "vexpress.dts:72, rewritten by --mem 1G)" in text


def test_every_input_is_a_fact_or_a_root(boot):
    assert [name for name in boot.k.facts.roots() if not name.startswith((*PREFIXES, "arm_dma_limit"))
            and not name.startswith(("phys_initrd", "mem_option"))] == []  # fmt: skip


def test_a_root_tells_what_rests_on_it(boot, roots):
    text = "\n".join(derivation_lines(boot.k.facts, roots, "CONFIG_HIGHMEM"))
    assert text.startswith("CONFIG_HIGHMEM = y")
    assert "=> PKMAP_BASE" in text


def test_names_are_found_or_the_nearest_told(boot):
    assert find(boot.k.facts, "ARM_LOWMEM_LIMIT") == ["arm_lowmem_limit"]
    assert "zone.Normal.end_pfn" in find(boot.k.facts, "zone.normal")
    with pytest.raises(InputError, match="did you mean arm_lowmem_limit"):
        find(boot.k.facts, "lowmem_limit")


def owners(address, **inputs):
    watcher = Watcher(address)
    return watcher, Replay("vexpress.dts", {"mem": "1G", **inputs}, watch=watcher)


def test_a_physical_address_is_owned_by_whoever_reserved_it():
    watcher, replay = owners(0x9F000000)
    told = merged(watcher.physical(replay.k.owners, partial(owner, replay.k)))
    first, last, facts = told[-2]
    assert (first, last) == ("cma_init_reserved_areas", "cma_init_reserved_areas")
    assert dict(facts)["reserved"] == ("0x9f000000-0x9fffffff: the CMA area 'reserved' (CONFIG_CMA_SIZE_MBYTES), by "
                                       "cma_declare_contiguous_nid()")  # fmt: skip
    assert ("zone", "HighMem") in facts
    assert ("page", "pfn 0x9f000: free, in the block of order 10 at pfn 0x9f000, CMA") in facts
    assert any("in use" in text for what, text in told[-1][2] if what == "page")  # DMA's pool


def test_a_virtual_address_has_descriptors():
    watcher, _ = owners(0xFFFF0000)
    *_, (first, last, facts) = merged(watcher.virtual())
    assert (first, last) == ("bootmem_init:entry", "mark_readonly")
    assert dict(facts)["physical"] == "0x8fffe000"
    assert "page RO" in dict(facts)["second level"]


def test_memory_that_is_not_there():
    watcher, replay = owners(0x10000000)
    assert {facts for _, _, facts in merged(watcher.physical(replay.k.owners, partial(owner, replay.k)))} == {
        (("bank", "none: no memory that the kernel knows"),)
    }


def test_an_address_names_the_node_that_took_it():
    watcher, replay = owners(0x4C000000)
    *_, (_, _, facts) = merged(watcher.physical(replay.k.owners, partial(owner, replay.k)))
    assert dict(facts)["no-map"].startswith("0x4c000000-0x4c7fffff: ")
    assert dict(facts)["no-map"].endswith("vexpress.dts:83 /reserved-memory/vram@4c000000 reg")
