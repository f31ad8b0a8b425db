"""XScale of Intel (arch/arm/mm/proc-xscale.S)."""

from __future__ import annotations

from bootsim.linux.arch.arm.asm.proc_fns import SET_PTE_XSCALE
from bootsim.linux.arch.arm.asm.procinfo import crval, old_proc_info

_SETUP = crval(0x3B07, 0x3905)

PROC_INFO = tuple(
    old_proc_info(f"__{name}_proc_info", cpu_val, cpu_mask, f"XScale-{model}", "armv5te", _SETUP, bit4=0,
                  set_pte=SET_PTE_XSCALE)
    for name, cpu_val, cpu_mask, model in (
        ("80200_A0_A1", 0x69052000, 0xFFFFFFFE, "80200 A0/A1"),
        ("80200", 0x69052000, 0xFFFFFFF0, "80200"),
        ("80219", 0x69052E20, 0xFFFFFFE0, "80219"),
        ("8032x", 0x69052420, 0xFFFFF7E0, "IOP8032x Family"),
        ("8033x", 0x69054010, 0xFFFFFD30, "IOP8033x Family"),
        ("pxa250", 0x69052100, 0xFFFFF7F0, "PXA250"),
        ("pxa210", 0x69052120, 0xFFFFF3F0, "PXA210"),
        ("ixp2400", 0x69054190, 0xFFFFFFF0, "IXP2400"),
        ("ixp2800", 0x690541A0, 0xFFFFFFF0, "IXP2800"),
        ("ixp42x", 0x690541C0, 0xFFFFFFC0, "IXP42x Family"),
        ("ixp43x", 0x69054040, 0xFFFFFFF0, "IXP43x Family"),
        ("ixp46x", 0x69054200, 0xFFFFFF00, "IXP46x Family"),
        ("pxa255", 0x69052D00, 0xFFFFFFF0, "PXA255"),
        ("pxa270", 0x69054110, 0xFFFFFFF0, "PXA270"),
    )
)
