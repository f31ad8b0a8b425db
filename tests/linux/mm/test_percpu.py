"""mm/percpu.c: the first chunk."""

from __future__ import annotations

import pytest

CPUS = "cpus { #address-cells = <1>; #size-cells = <0>; " + "".join(
    f'cpu@{i} {{ device_type = "cpu"; compatible = "arm,cortex-a9"; reg = <{i}>; }}; ' for i in range(4)) + "};\n"


def test_one_unit_for_every_possible_processor(board):
    k = board.boot("", CPUS, smp=4, until="mem_init:entry")
    assert k.num_possible_cpus == 4
    assert k.mm.pcpu_unit_size == 77824
    assert board.said(k, "pcpu-alloc") == ["pcpu-alloc: s46284 r8192 d23348 u77824 alloc=19*4096",
                                           "pcpu-alloc: [0] 0 [0] 1 [0] 2 [0] 3 "]
    # each unit starts with the static data
    static = k.machine.ram.read(k.virt_to_phys(k.build.symbols.per_cpu_load), 64)
    assert all(k.machine.ram.read(k.mm.pcpu_base_pa + i * k.mm.pcpu_unit_size, 64) == static for i in range(4))


@pytest.mark.golden
def test_modules_get_their_share(board):
    k = board.boot(until="mem_init:entry")
    assert board.said(k, "percpu") == ["percpu: Embedded 19 pages/cpu s46284 r8192 d23348 u77824"]
    k = board.boot(build={"MODULES": False}, until="mem_init:entry")
    assert board.said(k, "percpu") == ["percpu: Embedded 17 pages/cpu s46284 r0 d23348 u69632"]


def test_without_smp_there_is_one_unit_and_no_message(board):
    k = board.boot(build={"SMP": False, "SMP_ON_UP": False, "NR_CPUS": 1}, until="mem_init:entry")
    assert board.said(k, "percpu:") == []
    assert k.mm.pcpu_unit_size == 32 << 10


@pytest.mark.golden
@pytest.mark.parametrize("name", ["embed", "page", "x"])
def test_no_choice_is_compiled_in(board, name):
    k = board.boot(f"percpu_alloc={name}", until="setup_machine_fdt")
    assert board.said(k, "percpu") == [f"percpu: unknown allocator {name} specified"]
