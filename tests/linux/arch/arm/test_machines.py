"""What each machine's own code does to memory, tables and log, on small trees: the numbers are the C source's."""

import pytest

import bootsim
from bootsim.errors import KernelPanic
from bootsim.inputs.build import MachineDesc
from bootsim.inputs.configfile import load_build
from bootsim.inputs.devicetree import load_tree
from bootsim.linux.arch.arm.asm.mach.map import MT_MEMORY_DMA_READY
from bootsim.linux.arch.arm.mach_imx.platsmp import IMX_IO_P2V
from bootsim.linux.arch.arm.mm.ioremap import VM_ARM_MTYPE, VM_ARM_MTYPE_MASK
from bootsim.state.recorder import Recorder

MIB = 1 << 20
BASE = 0x80000000
SCU = 'scu@a00000 { compatible = "arm,cortex-a9-scu"; reg = <0xa00000 0x58>; };'
OMAP3 = {"reserve": "omap_reserve", "map_io": "omap3_map_io", "init_early": "omap3630_init_early"}
OMAP4 = {"reserve": "omap_reserve", "map_io": "omap4_map_io", "init_early": "omap4430_init_early"}


@pytest.fixture
def boot(tmp_path):
    """Boot a tree with the given nodes, to the end of setup_arch, on a kernel whose one machine has the given hooks."""

    def booted(body="", *, cpu="cortex-a9", cpus=1, powered=None, memory=f"<{BASE:#x} 0x10000000>", base=BASE, soc=(),
               config=None, io_tables=(), cmdline="", until="setup_arch", **hooks):
        path = tmp_path / "board.dts"
        nodes = "\n".join(
            f'cpu@{i} {{ device_type = "cpu"; compatible = "arm,{cpu}"; reg = <{i}>; }};' for i in range(cpus))
        path.write_text(f"""/dts-v1/;
            / {{ compatible = "x"; #address-cells = <1>; #size-cells = <1>;
            chosen {{ bootargs = "{cmdline}"; }};
            cpus {{ #address-cells = <1>; #size-cells = <0>; {nodes} }};
            memory {{ device_type = "memory"; reg = {memory}; }};
            {body} }};""")
        build = load_build("3G/1G")
        machine = MachineDesc(symbol="X", name="X", dt_compat="x", **hooks)
        build = build.replace(machines=(machine,), io_tables=io_tables, config=build.config.replace(**(config or {})))
        k = bootsim.prepare(load_tree(path), build, smp=powered or cpus, soc=soc, observer=Recorder(),
                            load_addr=base + build.symbols.text - build.config.PAGE_OFFSET)
        bootsim.run(k, until=until)
        return k

    return booted


def static(k):
    """The static mappings by address, without contiguous areas: (va, pa, bytes)."""
    return [(svm.vm.addr, svm.vm.phys_addr, svm.vm.size) for svm in k.mm.static_vmlist
            if svm.vm.phys_addr and svm.vm.flags & VM_ARM_MTYPE_MASK != VM_ARM_MTYPE(MT_MEMORY_DMA_READY)]


def log(k):
    return [record.text for record in k.log.records if record.kernel]


def regions(k, kind, stage="arm_memblock_init"):
    return [tuple(region[:2]) for region in k.observer.stages[stage].fields["memblock"][kind]]


def test_imx6q_maps_its_scu_by_pages(boot):
    k = boot(SCU, map_io="imx6q_map_io")
    assert static(k) == [(0xF4000000, 0xA00000, 0x1000)]
    assert k.translate(0xF4000004).pa == 0xA00004
    assert k.translate(0xF4000000).page_bytes == 4096


@pytest.mark.parametrize(("pa", "va"), [(0x00A00000, 0xF4000000), (0x020C4000, 0xF42C4000), (0x73F00000, 0xF5700000),
                                        (0x83F00000, 0xF5300000), (0x0FFFC000, 0xF4BFC000)])
def test_every_imx_device_has_one_address(pa, va):
    assert IMX_IO_P2V(pa) == va


def test_imx6q_has_no_more_cpus_than_its_scu_counts(boot):
    k = boot(SCU, cpus=4, powered=2, map_io="imx6q_map_io", smp="imx_smp_ops")
    assert (k.num_possible_cpus, k.nr_cpu_ids, len(k.cpus)) == (2, 2, 2)


def test_firmware_that_starts_processors_comes_before_the_machine(boot):
    psci = 'psci { compatible = "arm,psci-0.2"; method = "smc"; };'
    k = boot(SCU + psci, cpus=4, powered=2, map_io="imx6q_map_io", smp="imx_smp_ops", config={"ARM_PSCI": True})
    assert k.num_possible_cpus == 4


def test_omap_takes_two_sections_before_the_tree_reserves(boot):
    body = ('reserved-memory { #address-cells = <1>; #size-cells = <1>; ranges;'
            'pool { size = <0x400000>; alignment = <0x100000>; }; };')
    k = boot(body, **OMAP4)
    assert regions(k, "memory") == [(BASE, 0x10000000 - 2 * MIB)]
    assert k.of.reserved_mem[0].base == BASE + 0xFA00000


def test_lowmem_ends_where_the_machine_took_memory(boot):
    k = boot(**OMAP4)
    limit = k.facts.get("arm_lowmem_limit")
    assert limit.value == k.facts.get("machine.taken1").value == BASE + 0x10000000 - 2 * MIB
    assert {"machine.taken0", "machine.taken1"} <= set(limit.inputs)


def test_a_kernel_without_a_barrier_takes_one(boot):
    assert regions(boot(cpu="cortex-a8", **OMAP3), "memory") == [(BASE, 0x10000000 - MIB)]


def test_omap4_maps_its_barrier_strongly_ordered_and_says_so(boot):
    k = boot(**OMAP4)
    assert "OMAP4: Map 0x8fe00000 to (ptrval) for dram barrier" in log(k)
    t = k.translate(0xFE600000)
    assert (t.pa, t.memory.type) == (0x8FE00000, "strongly-ordered")
    assert static(k) == [(0xF8000000, 0x44000000, MIB), (0xFA000000, 0x48000000, 4 * MIB),
                         (0xFC000000, 0x4A000000, 4 * MIB), (0xFE600000, 0x8FE00000, MIB)]


def test_memory_that_ends_before_the_machine_is_served(boot):
    with pytest.raises(KernelPanic, match="Failed to steal 0x00100000 bytes") as death:
        boot(memory=f"<{BASE:#x} 0xe00000>", **OMAP4)
    assert "memory" in death.value.cause


def test_clock_controllers_take_their_places(boot):
    body = ('clk@1 { compatible = "ti,clkctrl"; reg = <0x100 4 0x200 4 0x300 4>; };'
            'clk@2 { compatible = "ti,clkctrl"; status = "disabled"; reg = <0x400 4>; };')
    k = boot(body, cmdline="memblock=debug", **OMAP4)
    sizes = [line.split()[1] for line in log(k) if "omap_hwmod_init" in line]
    assert sizes == ["24", "12", "12", "24", "4", "4"]


def test_omap3_has_two_clock_providers_of_the_old_kind(boot):
    body = ('cm@48004000 { compatible = "ti,omap3-cm"; reg = <0x48004000 0x4000>; };'
            'prm@48306000 { compatible = "ti,omap3-prm"; reg = <0x48306000 0x4000>; };')
    k = boot(body, cpu="cortex-a8", cmdline="memblock=debug", **OMAP3)
    assert [line.split()[1] for line in log(k) if "omap2_clk_legacy_provider_init" in line] == ["8", "8"]


@pytest.mark.parametrize(("cpu", "soc", "lines"), [
    # the first Cortex-A8 cannot be asked
    ("cortex-a8", ["omap3.idcode=0x2b89102f"], ["OMAP3430/3530  (iva sgx neon isp)"]),
    ("cortex-a15", [], ["Warning: unknown chip type: hawkeye 0000, assuming OMAP3630ES1.2",
                        "OMAP3630/DM3730 ES1.2 (iva sgx neon isp 192mhz_clk)"]),
    ("cortex-a15", ["omap3.idcode=0x1b89102f", "omap3.status=0x5c00"], ["AM3703 ES1.1 (l2cache neon isp 192mhz_clk)"]),
    ("cortex-a15", ["omap3.idcode=0x7b7ae02f", "omap3.status=0x5000"], ["OMAP3503 ES3.1.2 (neon isp)"]),
    ("cortex-a15", ["omap3.idcode=0x1b86802f"], ["AM3517 ES1.1 (sgx neon)"]),
])
def test_omap3_tells_its_chip_by_registers(boot, cpu, soc, lines):
    k = boot(cpu=cpu, soc=soc, **OMAP3)
    assert [line for line in log(k) if "OMAP3" in line or line.startswith("AM3")] == lines


@pytest.mark.parametrize(("family", "cpu", "soc", "lines"), [
    ("omap4430", "cortex-a9", [], ["OMAP4430 ES2.3"]),
    ("omap4430", "cortex-a9", ["omap4.idcode=0x2b94e02f"], ["OMAP4460 ES1.1"]),
    ("omap5", "cortex-a15", [], ["OMAP5430 ES2.0"]),
    ("omap5", "cortex-a15", ["omap4.idcode=0x1b99802f"], ["OMAP5432 ES2.0"]),
    ("dra7xx", "cortex-a15", [], ["dra7xxx_check_revision: unknown idcode=0x00000000 (hawkeye=0x00000000,rev=0x0)",
                                  "DRA752 ES2.0"]),
    ("dra7xx", "cortex-a15", ["dra7.idcode=0x1b99002f"], ["DRA752 ES1.1"]),
    ("dra7xx", "cortex-a15", ["dra7.idcode=0x0bb5002f", "dra7.die_id_2=0x30000"], ["DRA762 ES1.0"]),
    ("am33xx", "cortex-a15", ["am33xx.idcode=0x2b94402e", "am33xx.features=0x20000000"], ["AM335X ES2.1 (sgx neon)"]),
    ("am33xx", "cortex-a8", [], ["OMAP3503  (neon)"]),
    ("ti816x", "cortex-a15", ["ti81xx.idcode=0x3b81e02f"], ["TI816X ES2.1 (neon)"]),
])
def test_the_chips_of_ti_by_registers(boot, family, cpu, soc, lines):
    map_io = {"omap4430": "omap4_map_io", "ti816x": "ti81xx_map_io"}.get(family, f"{family}_map_io")
    k = boot(cpu=cpu, soc=soc, reserve="omap_reserve", map_io=map_io, init_early=f"{family}_init_early")
    said = log(k)
    assert [line for line in said if line in lines] == lines
    assert not any(line.startswith("clockdomain") for line in said)


def test_a_chip_taken_for_another_lacks_power_domains(boot):
    k = boot(cpu="cortex-a8", reserve="omap_reserve", map_io="ti81xx_map_io", init_early="ti814x_init_early")
    missing = [line for line in log(k) if line.startswith("clockdomain")]
    assert missing[0] == "clockdomain: alwon_l3s_clkdm: powerdomain alwon_pwrdm does not exist"
    assert len(missing) == 8


def test_omap4_counts_its_processors_by_its_scu(boot):
    scu = 'scu@48240000 { compatible = "arm,cortex-a9-scu"; reg = <0x48240000 0x100>; };'
    assert boot(scu, cpus=1, powered=2, smp="omap4_smp_ops", **OMAP4).num_possible_cpus == 2


def test_omap5_has_two_processors_whatever_the_tree_says(boot):
    k = boot(cpu="cortex-a15", reserve="omap_reserve", map_io="omap5_map_io", smp="omap4_smp_ops")
    assert (k.num_possible_cpus, k.nr_cpu_ids, len(k.cpus)) == (2, 2, 2)


CHIPID = 'chipid@10000000 { compatible = "samsung,exynos4210-chipid"; reg = <0x10000000 0x100>; };'


def test_exynos_maps_its_chip_id_and_tells_it(boot):
    k = boot(CHIPID, cpu="cortex-a15", map_io="exynos_init_io", soc=["exynos.chipid=0x43520210"])
    assert static(k) == [(0xF8000000, 0x10000000, 0x1000)]
    assert "Samsung CPU ID: 0x43520210" in log(k)


def test_exynos_without_a_chip_id_reads_where_nothing_is_mapped(boot):
    with pytest.raises(KernelPanic, match="Attempted to kill the idle task!") as death:
        boot(cpu="cortex-a15", map_io="exynos_init_io")
    assert "0xf8000000: nothing is mapped there" in death.value.cause


def test_exynos_takes_eight_banks(boot):
    banks = "<" + " ".join(f"{BASE + i * 32 * MIB:#x} {32 * MIB:#x}" for i in range(9)) + ">"
    k = boot(CHIPID, memory=banks, cpu="cortex-a15", dt_fixup="exynos_dt_fixup")
    assert regions(k, "memory") == [(BASE, 8 * 32 * MIB)]


def test_exynos_firmware_speaks_if_it_has_an_address(boot):
    node = 'firmware@203f000 { compatible = "samsung,secure-firmware"; %s };'
    assert "Running under secure firmware." in log(boot(node % "reg = <0x203f000 0x1000>;",
                                                        init_early="exynos_firmware_init"))
    assert "exynos_secure_firmware_available: No address specified." in log(
        boot(node % "", init_early="exynos_firmware_init"))


@pytest.mark.parametrize(("map_io", "mappings"), [
    ("tegra_map_common_io", [(0xFE000000, 0x70000000, MIB), (0xFE200000, 0x60000000, MIB),
                             (0xFE400000, 0x40000000, 0x40000), (0xFE440000, 0x50040000, 0x4000)]),
    ("mmp2_map_io", [(0xFE000000, 0xD4000000, 2 * MIB), (0xFE200000, 0xD4200000, 2 * MIB),
                     (0xFE400000, 0xE0000000, MIB)]),
    ("vt8500_map_io", [(0xF8000000, 0xD8000000, 0x390000)]),
    ("r8a7779_map_io", [(0xF0000000, 0xF0000000, 2 * MIB), (0xFE000000, 0xFE000000, 16 * MIB)]),
    ("hi3620_map_io", [(0xFE802000, 0xFC802000, 0x1000)]),
    ("ti81xx_map_io", [(0xFA000000, 0x48000000, 4 * MIB)]),
    ("am33xx_map_io", [(0xF9C00000, 0x44C00000, 4 * MIB), (0xFA000000, 0x48000000, 4 * MIB)]),
    ("spear1310_map_io", [(0xF9000000, 0xB3000000, 16 * MIB), (0xFA000000, 0xD8000000, 16 * MIB),
                          (0xFB000000, 0xED000000, 0x1000), (0xFC000000, 0xEC000000, 16 * MIB),
                          (0xFD000000, 0xE0000000, 16 * MIB)]),
])
def test_what_machines_map_for_good(boot, map_io, mappings):
    assert static(boot(map_io=map_io)) == mappings


def test_a_builds_own_table_comes_before_the_sources(boot):
    row = "vt8500_io_desc 0xf8000000 0xd8000000 0x100000 0"
    assert static(boot(map_io="vt8500_map_io", io_tables=(row,))) == [(0xF8000000, 0xD8000000, MIB)]


def test_sh73a0_maps_a_quarter_of_a_gigabyte_below_lowmems_end(boot):
    k = boot(map_io="sh73a0_map_io")
    assert static(k) == [(0xE6000000, 0xE6000000, 256 * MIB)]
    assert k.translate(0xE6000000).pa == 0xE6000000


def test_s5pv210_maps_its_clock_controller(boot):
    k = boot('clock@e0100000 { compatible = "samsung,s5pv210-clock"; reg = <0xe0100000 0x10000>; };', cpu="cortex-a8",
             map_io="s5pv210_dt_map_io")
    assert static(k) == [(0xF6100000, 0xE0100000, 0x10000)]


@pytest.mark.parametrize("suspend", [True, False])
def test_armada_xp_keeps_the_start_of_every_bank_if_it_can_suspend(boot, suspend):
    k = boot(memory=f"<{BASE:#x} 0x8000000>, <{BASE + 0x10000000:#x} 0x8000000>", reserve="mvebu_memblock_reserve",
             config={"SUSPEND": suspend})
    kept = [region for region in regions(k, "reserved") if region[1] == 10 * 1024]
    assert kept == ([(BASE, 10 * 1024), (BASE + 0x10000000, 10 * 1024)] if suspend else [])


def test_armada_xp_has_no_more_than_four_processors(boot):
    with pytest.raises(KernelPanic, match="Invalid number of CPUs in DT"):
        boot(cpu="cortex-a15", cpus=5, dt_fixup="armada_370_xp_dt_fixup", config={"NR_CPUS": 8})


def test_zynq_keeps_what_dma_cannot_reach(boot):
    hooks = {"reserve": "zynq_memory_init", "map_io": "zynq_map_io"}
    scu = 'scu@f8f00000 { compatible = "arm,cortex-a9-scu"; reg = <0xf8f00000 0x58>; };'
    k = boot(scu, base=0, memory="<0 0x10000000>", **hooks)
    assert regions(k, "reserved")[0] == (0, 0x80000)
    assert static(k) == [(0xF8F00000, 0xF8F00000, 0x1000)]
    assert regions(boot(scu, **hooks), "reserved")[0][0] != BASE


def test_zynq_counts_its_processors_by_its_scu(boot):
    scu = 'scu@f8f00000 { compatible = "arm,cortex-a9-scu"; reg = <0xf8f00000 0x58>; };'
    assert boot(scu, powered=2, map_io="zynq_map_io", smp="zynq_smp_ops").num_possible_cpus == 2


def test_rcar_gen2_makes_an_area_of_the_last_256_mib(boot):
    k = boot(memory="<0x80000000 0x40000000>", reserve="rcar_gen2_reserve")
    assert (k.mm.cma_areas[0].base_pfn, k.mm.cma_areas[0].count) == (0xB0000, 0x10000)
    assert len(k.mm.cma_areas) == 2


def test_rcar_gen2_makes_none_of_a_bank_too_small(boot):
    assert len(boot(memory="<0x80000000 0xf000000>", reserve="rcar_gen2_reserve").mm.cma_areas) == 1


def test_rtd1195_has_registers_in_its_ram(boot):
    k = boot(base=0, memory="<0 0x20000000>", reserve="rtd1195_reserve", until="arm_memblock_init")
    assert regions(k, "memory") == [(0xA800, 0x18000000 - 0xA800), (0x18070000, 0x90000),
                                    (0x19100000, 0x20000000 - 0x19100000)]


def test_keystone_without_lpae_stays_where_it_is(boot):
    assert not any("Keystone" in line for line in log(boot(cpu="cortex-a15", pv_fixup="keystone_pv_fixup")))
    k = boot(cpu="cortex-a15", base=0x60000000, memory="<0x60000000 0x10000000>", pv_fixup="keystone_pv_fixup")
    assert "Invalid address space for memory (60000000-70000000)" in log(k)


def test_a_dma_zone_ends_one_page_early(boot):
    k = boot(dma_zone_size=256 * MIB, config={"ZONE_DMA": True})
    zones = {zone["name"]: zone["spanned"] for zone in k.zones}
    assert (zones["DMA"], zones["Normal"]) == (0xFFFF, 1)


def test_lowmem_may_end_above_memory(boot):
    # no-map to the end of RAM, from no multiple of 2 MiB: without HIGHMEM the memory around its start is dropped
    k = boot('reserved-memory { #address-cells = <1>; #size-cells = <1>; ranges;'
             'a@8ff00000 { reg = <0x8ff00000 0x100000>; no-map; }; };', config={"HIGHMEM": False})
    assert "Ignoring RAM at 0x8fe00000-0x90000000" in log(k)
    assert (k.mm.max_low_pfn, k.mm.max_pfn) == (0x8FF00, 0x8FE00)
    assert [(zone["name"], zone["spanned"], zone["present"]) for zone in k.zones if zone["spanned"]] == [
        ("Normal", 0xFE00, 0xFE00)]


@pytest.mark.parametrize(("hook", "mapped"), [
    ("versatile_map_io", [(0xF11E0000, 0x101E0000, 0x9000)]),
    ("ap_map_io", [(0xF1400000, 0x14000000, 0x1000), (0xF1600000, 0x16000000, 0x1000)]),
    ("intcp_map_io", [(0xF1400000, 0x14000000, 0x1000), (0xF1600000, 0x16000000, 0x1000),
                      (0xFCA00000, 0xCA000000, 0x1000)]),
    ("orion5x_map_io", [(0xFD000000, 0xF0000000, 16 * MIB), (0xFEC00000, 0xF1000000, MIB)]),
    ("cpu8815_map_io", [(0xF01FB000, 0x101FB000, 0x1000)]),
    ("mx27_map_io", [(0xF4400000, 0x10000000, MIB), (0xF5000000, 0x80000000, MIB), (0xF5C00000, 0xD8000000, MIB)]),
    ("mx31_map_io", [(0xF4000000 + at, pa, size) for at, pa, size in (
        (0x1400000, 0x50000000, MIB), (0x1700000, 0x53F00000, MIB), (0x1300000, 0x43F00000, MIB),
        (0x1800000, 0x68000000, MIB), (0x1C00000, 0xB8000000, 0x10000))]),
    ("cns3xxx_map_io", [(0xFB000000, 0x76000000, 0x1000), (0xFB001000, 0x77000000, 0x1000),
                        (0xFB003000, 0x7C800000, 0x1000), (0xFB004000, 0x90000000, 0x2000)]),
    ("omap242x_map_io", [(0xF8000000, 0x68000000, MIB), (0xFA000000, 0x48000000, MIB),
                         (0xFC100000, 0x58000000, 0x28000), (0xFC128000, 0x59000000, 0x1000),
                         (0xFC129000, 0x5A000000, 0x1000)]),
    ("omap243x_map_io", [(0xF8000000, 0x68000000, MIB), (0xFA000000, 0x48000000, MIB), (0xFB000000, 0x49000000, MIB),
                         (0xFC000000, 0x6C000000, MIB), (0xFD000000, 0x6D000000, MIB), (0xFE000000, 0x6E000000, MIB)]),
])
def test_old_machines_map_their_devices(boot, hook, mapped):
    assert static(boot(map_io=hook)) == sorted(mapped)


def test_cns3xxx_with_pci_maps_its_ports(boot):
    k = boot(map_io="cns3xxx_map_io", config={"PCI": True}, cmdline="vmalloc=496M")
    assert (0xEC000000, 0xBE000000, 16 * MIB) in static(k)
    assert (0xE3000000, 0xAD000000, 0x10000) in static(k)


def test_integrator_keeps_what_lies_below_its_page_table(boot):
    assert regions(boot(reserve="integrator_reserve"), "reserved")[0] == (BASE, 0x8000)


@pytest.mark.parametrize(("soc", "lines"), [
    ([], ["Unknown OMAP CPU id"]),
    (["omap2420.idcode=0x5b5d902f"], ["OMAP2420"]),
    (["omap2420.idcode=0x5b5d902f", "0x48014208=0x30000"],
     ["Unknown OMAP device type. Handling it as OMAP2420", "OMAP2420"]),
])
def test_omap2420_tells_its_chip(boot, soc, lines):
    k = boot(soc=soc, reserve="omap_reserve", map_io="omap242x_map_io", init_early="omap2420_init_early")
    assert [line for line in log(k) if "OMAP" in line and "Machine" not in line] == lines


def test_s3c64xx_is_asked_at_two_places(boot):
    k = boot(soc=["s3c6400.id=0x36400000"], map_io="s3c64xx_dt_map_io")
    assert "Samsung CPU ID: 0x36400000" in log(k)
    assert static(k) == [(0xF6100000, 0x7E00F000, 0x1000)]
    with pytest.raises(KernelPanic, match="SoC is not S3C64xx"):
        boot(soc=["s3c64xx.id=0x36510101"], map_io="s3c64xx_dt_map_io")


def test_s3c2416_maps_more_when_it_is_known(boot):
    k = boot(soc=["s3c2416.id=0x32450003"], map_io="s3c2416_dt_map_io")
    assert "CPU S3C2416/S3C2450 (id 0x32450003)" in log(k)
    assert [va for va, _, _ in static(k)] == [0xF6000000, 0xF6100000, 0xF6200000, 0xF6300000, 0xF6400000, 0xF7000000,
                                              0xFD000000]
    with pytest.raises(KernelPanic, match="Unknown S3C24XX CPU") as panic:
        boot(soc=["s3c2416.id=0x32440001"], map_io="s3c2416_dt_map_io")
    assert "the chip says 0x32440001" in panic.value.cause


def test_a_da850_tells_its_chip(boot):
    k = boot(soc=["da850.jtag_id=0x0b7d102f"], map_io="da850_init")
    assert "DaVinci da850/omap-l138 variant 0x0" in log(k)
    assert [va for va, _, _ in static(k)] == [0xFEBFD000, 0xFEC00000]
    with pytest.raises(KernelPanic, match="SoC Initialization failed"):
        boot(soc=["da850.jtag_id=0x2b7d102f"], map_io="da850_init")


@pytest.mark.parametrize("chip", ["pxa25x", "pxa27x", "pxa3xx"])
def test_a_pxa_says_that_its_clocks_are_not_told(boot, chip):
    assert any("clock frequencies" in r.text for r in boot(map_io=f"{chip}_map_io").log.records)
