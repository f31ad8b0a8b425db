"""A machine's own code in the boot, by the names in its descriptor (arch/arm/include/asm/mach/arch.h).

Each function is loaded when a machine calls it: of some forty modules a boot needs none or three.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from bootsim.linux.kernel.printk import KERN_WARNING, step

if TYPE_CHECKING:
    from bootsim.linux import Kernel

HOOKS = ("dt_fixup", "pv_fixup", "reserve", "map_io", "init_early")

# Function of a hook: the module under arch/arm/ that replays it, and what it is called there if otherwise.
MODELLED = {
    "am33xx_init_early": "mach_omap2.io",
    "am33xx_map_io": "mach_omap2.io",
    "am35xx_init_early": "mach_omap2.io:omap3_init_early",
    "am43xx_init_early": "mach_omap2.io",
    "ap_map_io": "mach_integrator.integrator_ap",
    "armada_370_xp_dt_fixup": "mach_mvebu.board_v7",
    "clps711x_map_io": "mach_clps711x.board_dt",
    "cns3xxx_map_io": "mach_cns3xxx.core",
    "cpu8815_map_io": "mach_nomadik.cpu_8815",
    "da850_init": "mach_davinci.da850",
    "dra7xx_init_early": "mach_omap2.io",
    "dra7xx_map_io": "mach_omap2.io",
    "exynos_dt_fixup": "mach_exynos.exynos",
    "exynos_firmware_init": "mach_exynos.firmware",
    "exynos_init_io": "mach_exynos.exynos",
    "gemini_map_io": "mach_gemini.board_dt",
    "hi3620_map_io": "mach_hisi.hisilicon",
    "imx6q_map_io": "mach_imx.mach_imx6q",
    "intcp_map_io": "mach_integrator.integrator_cp",
    "integrator_reserve": "mach_integrator.core",
    "ixp4xx_of_map_io": "mach_ixp4xx.ixp4xx_of",
    "keystone_pv_fixup": "mach_keystone.keystone",
    "lpc32xx_map_io": "mach_lpc32xx.common",
    "mmp2_map_io": "mach_mmp.common",
    "mmp_map_io": "mach_mmp.common",
    "mvebu_memblock_reserve": "mach_mvebu.board_v7",
    "mx27_map_io": "mach_imx.mach_imx27",
    "mx31_map_io": "mach_imx.mm_imx3",
    "mx35_map_io": "mach_imx.mm_imx3",
    "omap2420_init_early": "mach_omap2.io",
    "omap242x_map_io": "mach_omap2.io",
    "omap2430_init_early": "mach_omap2.io",
    "omap243x_map_io": "mach_omap2.io",
    "omap3430_init_early": "mach_omap2.io:omap3_init_early",
    "omap3630_init_early": "mach_omap2.io:omap3_init_early",
    "omap3_map_io": "mach_omap2.io",
    "omap4430_init_early": "mach_omap2.io",
    "omap4_map_io": "mach_omap2.io",
    "omap5_init_early": "mach_omap2.io",
    "omap5_map_io": "mach_omap2.io",
    "omap_reserve": "mach_omap2.common",
    "orion5x_map_io": "mach_orion5x.common",
    "picoxcell_map_io": "mach_picoxcell.common",
    "pxa25x_map_io": "mach_pxa.generic",
    "pxa27x_map_io": "mach_pxa.generic",
    "pxa3xx_map_io": "mach_pxa.generic",
    "r8a7779_map_io": "mach_shmobile.setup_r8a7779",
    "rcar_gen2_reserve": "mach_shmobile.setup_rcar_gen2",
    "rtd1195_reserve": "mach_realtek.rtd1195",
    "rx51_reserve": "mach_omap2.common:omap_reserve",
    "s3c2416_dt_map_io": "mach_s3c.s3c24xx",
    "s3c64xx_dt_map_io": "mach_s3c.mach_s3c64xx_dt",
    "s5pv210_dt_map_io": "mach_s5pv210.s5pv210",
    "sh73a0_map_io": "mach_shmobile.setup_sh73a0",
    "spear1310_map_io": "mach_spear.spear13xx",
    "spear13xx_map_io": "mach_spear.spear13xx",
    "spear300_map_io": "mach_spear.spear3xx:spear3xx_map_io",
    "spear310_map_io": "mach_spear.spear3xx:spear3xx_map_io",
    "spear320_map_io": "mach_spear.spear3xx",
    "spear6xx_map_io": "mach_spear.spear6xx",
    "tegra_map_common_io": "mach_tegra.io",
    "ti814x_init_early": "mach_omap2.io",
    "ti816x_init_early": "mach_omap2.io",
    "ti81xx_map_io": "mach_omap2.io",
    "u300_map_io": "mach_u300.core",
    "versatile_map_io": "mach_versatile.versatile_dt",
    "vt8500_map_io": "mach_vt8500.vt8500",
    "zynq_map_io": "mach_zynq.common",
    "zynq_memory_init": "mach_zynq.common",
}

# Hooks that leave memory, tables and the log as they are: what they do instead.
WITHOUT_EFFECT = {
    "ap_init_early": "does nothing",
    "bcm5301x_init_early": "takes over one kind of abort",
    "imx1_init_early": "notes the chip",
    "imx25_init_early": "notes the chip",
    "imx27_init_early": "notes the chip",
    "imx31_init_early": "notes the chip, and where its clock registers lie in a static mapping",
    "imx35_init_early": "notes the chip, and where its clock registers lie in a static mapping",
    "imx51_init_early": "notes the chip",
    "imx53_init_early": "notes the chip",
    "intcp_init_early": "registers a clock",
    "shmobile_init_delay": "computes loops per jiffy",
    "sun8i_a83t_cntvoff_init": "sets the timer's virtual offset",
    "tegra_init_early": "writes the reset handler to on-chip memory",
    "versatile_init_early": "sets the timers' clock",
}

# smp_init_cpus() of the struct smp_operations that have one.
SMP_INIT_CPUS = {
    "armada_xp_smp_ops": "mach_mvebu.platsmp:armada_xp_smp_init_cpus",
    "imx_smp_ops": "mach_imx.platsmp:imx_smp_init_cpus",
    "omap4_smp_ops": "mach_omap2.omap_smp:omap4_smp_init_cpus",
    "spear13xx_smp_ops": "mach_spear.platsmp:spear13xx_smp_init_cpus",
    "zynq_smp_ops": "mach_zynq.platsmp:zynq_smp_init_cpus",
}


def warn_of_hooks(k: Kernel) -> None:
    """Warn of every hook of the machine that is not modelled.

    Source: none, bootsim's own
    """
    for hook in HOOKS:
        function = getattr(k.mdesc, hook)
        if function is not None and function not in MODELLED and function not in WITHOUT_EFFECT:
            step(k, "machine {name!r}: its {hook} hook, {function}(), is not modelled; what it does is missing",
                 level=KERN_WARNING, name=k.mdesc.name, hook=hook, function=function)


def run_hook(k: Kernel, hook: str) -> Any:
    """Call one of the machine's HOOKS, if it has it and it is modelled; what it returns.

    Source: arch/arm/include/asm/mach/arch.h struct machine_desc
    """
    function = getattr(k.mdesc, hook)
    if function not in MODELLED:
        return None
    return call(k, MODELLED[function], function)


def call(k: Kernel, place: str, function: str = "") -> Any:
    """Call the function of arch/arm/ at `place` ("mach_imx.platsmp:imx_scu_map_io", or a module and `function`).

    Source: none, bootsim's own
    """
    module, _, name = place.partition(":")
    return getattr(import_module(f"bootsim.linux.arch.arm.{module}"), name or function)(k)
