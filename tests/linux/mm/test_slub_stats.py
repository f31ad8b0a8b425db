"""CONFIG_SLUB_STATS: what the files of /sys/kernel/slab/<cache> count."""

import random

import pytest

import bootsim
from bootsim.errors import InputError
from bootsim.inputs.configfile import load_build
from bootsim.linux.include.linux import slab
from bootsim.views import alive

GFP_KERNEL = 0xCC0


def constructor(_va):
    """Keeps a cache from being merged."""


def machine(cmdline="", smp=2, **config):
    build = load_build("3G/1G")
    build = build.replace(config=build.config.replace(**{"SLUB_DEBUG": True, "SLUB_CPU_PARTIAL": True, **config}))
    return bootsim.boot("vexpress.dts", build, mem="64M", smp=smp, cmdline=cmdline)


def stats(k, s):
    """The counters that are not 0, each with those of the processors."""
    shown, _ = alive.text(k, f"/sys/kernel/slab/{s.name}")
    lines = shown.splitlines()
    names = [line.split(" ")[0] for line in lines]
    counted = lines[names.index("alloc_fastpath"):names.index("cpu_partial_drain") + 1]
    assert len(counted) == 26
    return {line.split(" ")[0]: line.partition(" ")[2] for line in counted if not line.endswith(" 0")}


def test_what_each_step_of_one_cache_counts():
    k = machine(SLUB_STATS=True)
    s = slab.kmem_cache_create(k, "four", 1000, 0, 0, constructor)  # 32 KiB have 32 objects
    per = s.oo & 0xFFFF
    first = [slab.kmem_cache_alloc(k, s, GFP_KERNEL) for _ in range(per)]
    assert stats(k, s) == {"alloc_fastpath": f"{per - 1} C0={per - 1}", "alloc_slowpath": "1 C0=1",
                           "alloc_slab": "1 C0=1"}
    second = slab.kmem_cache_alloc(k, s, GFP_KERNEL)  # the first slab is full, and nobody's
    assert stats(k, s) == {"alloc_fastpath": f"{per - 1} C0={per - 1}", "alloc_slowpath": "2 C0=2",
                           "alloc_slab": "2 C0=2", "deactivate_bypass": "1 C0=1"}
    slab.kmem_cache_free(k, s, second)
    slab.kmem_cache_free(k, s, first[0])  # freezes the full slab for this processor
    slab.kmem_cache_free(k, s, first[1])
    k.mm.pgdat.cpu = 1
    slab.kmem_cache_free(k, s, first[2])
    k.mm.pgdat.cpu = 0
    now = stats(k, s)
    assert (now["free_fastpath"], now["free_slowpath"]) == ("1 C0=1", "3 C0=2 C1=1")
    assert (now["cpu_partial_free"], now["free_frozen"]) == ("1 C0=1", "2 C0=1 C1=1")
    slab.kmem_cache_shrink(k, s)
    now = stats(k, s)
    # the cpu slab is empty, but the node has few: it is kept, for the shrinker to give back
    assert (now["cpuslab_flush"], now["deactivate_to_head"]) == ("1 C0=1", "1 C0=1")
    assert now["free_add_partial"] == "1 C0=1"  # the cpu partial slab
    assert "free_slab" not in now
    slab.kmem_cache_alloc(k, s, GFP_KERNEL)
    assert stats(k, s)["alloc_from_partial"] == "1 C0=1"


@pytest.mark.parametrize(("cmdline", "partial"), [("", True), ("", False), ("slub_debug=FZ", True)])
def test_counts_add_up_and_change_no_answer(cmdline, partial):
    rng = random.Random(7)
    counted, plain = (machine(cmdline, SLUB_STATS=on, SLUB_CPU_PARTIAL=partial) for on in (True, False))
    pairs = [[slab.kmem_cache_create(k, f"of{size}", size, 0, 0, constructor) for k in (counted, plain)]
             for size in (40, 700, 3000)]
    live, asked, freed = [[] for _ in pairs], [0] * 3, [0] * 3
    for _ in range(6000):
        i, cpu = rng.randrange(3), rng.randrange(2)
        counted.mm.pgdat.cpu = plain.mm.pgdat.cpu = cpu
        s, t = pairs[i]
        if live[i] and rng.random() < (0.3 if len(live[i]) < 200 else 0.7):
            va = live[i].pop(rng.randrange(len(live[i])))
            slab.kmem_cache_free(counted, s, va)
            slab.kmem_cache_free(plain, t, va)
            freed[i] += 1
        else:
            va = slab.kmem_cache_alloc(counted, s, GFP_KERNEL)
            assert slab.kmem_cache_alloc(plain, t, GFP_KERNEL) == va
            live[i].append(va)
            asked[i] += 1
    copied = counted.copy()
    for i, (s, _) in enumerate(pairs):
        n = {name: int(text.split()[0]) for name, text in stats(counted, s).items()}
        assert stats(copied, s) == stats(counted, s)
        n = {name: n.get(name, 0) for name in (*n, "alloc_fastpath", "free_fastpath", "free_slab", "cpu_partial_node",
                                               "deactivate_to_head", "deactivate_to_tail", "free_remove_partial",
                                               "alloc_from_partial", "alloc_refill", "free_add_partial")}
        assert n["alloc_fastpath"] + n["alloc_slowpath"] == asked[i]
        assert n["free_fastpath"] + n["free_slowpath"] == freed[i]
        assert n["alloc_refill"] + n["alloc_from_partial"] + n["alloc_slab"] == n["alloc_slowpath"]
        assert n["alloc_slab"] - n["free_slab"] == s.nr_slabs
        assert (n["free_add_partial"] + n["deactivate_to_head"] + n["deactivate_to_tail"] - n["free_remove_partial"]
                - n["alloc_from_partial"] - n["cpu_partial_node"]) == s.nr_partial


def test_a_kernel_of_one_processor_has_one_number():
    k = machine(smp=None, SLUB_STATS=True, SMP=False, NR_CPUS=1)
    s = slab.kmem_cache_create(k, "of40", 40, 0, 0, constructor)
    slab.kmem_cache_alloc(k, s, GFP_KERNEL)
    assert stats(k, s) == {"alloc_slowpath": "1", "alloc_slab": "1"}


def test_the_files_are_there_in_their_order_and_of_such_builds_alone():
    k = machine(SLUB_STATS=True)
    files = [line.split(" ")[0] for line in alive.text(k, "/sys/kernel/slab/kmalloc-64")[0].splitlines()]
    assert files[-1] == "usersize"
    assert files[files.index("free_calls") + 1] == "alloc_fastpath"
    assert alive.text(k, "/sys/kernel/slab/kmalloc-64/order_fallback")[0] == "0"
    with pytest.raises(InputError, match="there are slab_size"):
        alive.text(machine(), "/sys/kernel/slab/kmalloc-64/alloc_fastpath")
