"""A build with another slab allocator: what Kconfig then decides, and what is told of it."""

from pathlib import Path

import pytest

import bootsim
from bootsim.errors import InputError
from bootsim.inputs.buildcheck import problems
from bootsim.inputs.configfile import load_build
from bootsim.inputs.slabchoice import ALLOCATORS, allocator_of, what_follows, with_slab

BUILDS = Path(__file__).parents[1] / "golden/builds"
OF_ALLOCATORS = ("SLAB", "SLUB", "SLOB", "SLUB_DEBUG", "SLUB_DEBUG_ON", "SLUB_CPU_PARTIAL", "SLAB_MERGE_DEFAULT",
                 "DEBUG_SLAB", "SLAB_FREELIST_RANDOM", "SLAB_FREELIST_HARDENED", "HARDENED_USERCOPY", "MEMCG_KMEM")


def choice(build):
    return {name: getattr(build.config, name) for name in OF_ALLOCATORS}


@pytest.mark.golden
@pytest.mark.parametrize(("one", "other"), [("k3slub", "k3slab"), ("k3slab", "k3slub")])
def test_the_choice_is_what_kconfig_makes_of_the_same_kernel(one, other):
    built, real = (load_build(BUILDS / f"{name}.yaml") for name in (one, other))
    assert choice(with_slab(built, allocator_of(real.config))) == choice(real)


@pytest.mark.golden
def test_slob_is_chosen_as_kconfig_chooses_it():
    real = load_build(BUILDS / "k3slobu.yaml")  # of one processor
    assert choice(with_slab(load_build(BUILDS / "k3slub.yaml"), "slob")) == choice(real)
    assert with_slab(real, "slub").config.SLUB_DEBUG
    assert not with_slab(real, "slub").config.SLUB_CPU_PARTIAL


def test_what_only_other_allocators_have_goes():
    build = load_build("3G/1G")
    config = build.config.replace(MEMCG_KMEM=True, HARDENED_USERCOPY=True, SLAB_FREELIST_RANDOM=True)
    build = build.replace(config=config)
    slob = with_slab(build, "slob")
    gone = ("MEMCG_KMEM", "HARDENED_USERCOPY", "SLAB_FREELIST_RANDOM", "SLUB_DEBUG", "SLUB_CPU_PARTIAL")
    assert not any(getattr(slob.config, name) for name in gone)
    follows, image = what_follows(build, slob)
    assert all(f"CONFIG_{name}" in follows for name in gone)
    assert "kmem_cache_boot" in image
    assert build.name in image
    back, of_slub = what_follows(slob, with_slab(slob, "slub"))
    assert "with it CONFIG_SLUB_DEBUG, CONFIG_SLUB_CPU_PARTIAL by default" in back
    assert "kmem_cache_boot" not in of_slub


@pytest.mark.parametrize("allocator", ALLOCATORS)
def test_the_build_holds_together_and_boots(allocator):
    build = with_slab(load_build("3G/1G"), allocator)
    assert list(problems(build)) == []
    k = bootsim.boot("vexpress.dts", slab=allocator, mem="128M")
    assert allocator_of(k.build.config) == allocator
    assert type(k.mm.slab).__name__.lower() == allocator
    told = [record.text for record in k.log.records if "--slab" in record.text]
    assert bool(told) == (allocator != "slub")  # the build's own is no change


def test_the_name_of_a_build_is_told_as_it_stands():
    build = load_build("3G/1G").replace(name="mine {0} {size}")
    k = bootsim.boot("vexpress.dts", build, slab="slob", mem="128M")
    assert any("stays that of mine {0} {size}" in record.text for record in k.log.records)


def test_another_word_is_refused():
    with pytest.raises(InputError, match="'slqb', expected one of slab, slub, slob"):
        bootsim.boot("vexpress.dts", slab="slqb")
