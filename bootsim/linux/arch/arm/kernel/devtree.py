"""Choosing the machine from the device tree (arch/arm/kernel/devtree.c)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bootsim.errors import KernelPanic
from bootsim.inputs.build import MachineDesc
from bootsim.linux import CpuState
from bootsim.linux.arch.arm.asm.mach.arch import HOOKS, run_hook, warn_of_hooks
from bootsim.linux.drivers.of.base import of_find_node_by_path, of_get_cpu_nodes
from bootsim.linux.drivers.of.fdt import (
    c_string,
    early_init_dt_scan_nodes,
    early_init_dt_verify,
    of_fdt_is_compatible,
    of_flat_dt_get_machine_name,
)
from bootsim.linux.kernel.panic import warn
from bootsim.linux.kernel.printk import KERN_INFO, KERN_WARNING, printk, step
from bootsim.linux.lib.fdt import cells
from bootsim.places import place_of

if TYPE_CHECKING:
    from bootsim.linux import Kernel

MPIDR_HWID_BITMASK = 0xFFFFFF


GENERIC_DT = MachineDesc(symbol="GENERIC_DT", name="Generic DT based system", dt_compat="")


def setup_machine_fdt(k: Kernel, dtb_pa: int) -> MachineDesc | None:
    """Verify the blob at `dtb_pa`, match the machine, and scan chosen, root and memory. None if it is no tree.

    Source: arch/arm/kernel/devtree.c setup_machine_fdt()
    """
    if not early_init_dt_verify(k, dtb_pa):
        return None
    root = k.of.fdt.nodes[0]
    best, best_score = None, 0
    for mdesc in k.build.machines:
        scores = [s for c in mdesc.dt_compat.split() if (s := of_fdt_is_compatible(root, c))]
        if scores and (not best_score or min(scores) < best_score):
            best, best_score = mdesc, min(scores)
    if best is None and not k.build.config.ARCH_MULTIPLATFORM:
        names = "".join(f"'{c_string(n + bytes(1))}' " for n in root.first.get("compatible", b"").split(b"\0") if n)
        printk(k, KERN_WARNING, "\nError: unrecognized/unsupported device tree compatible list:\n[ {names}]\n",
               names=names)
        raise KernelPanic(None, f"/: compatible {names.strip()} matches no machine of this kernel build")
    mdesc = best or GENERIC_DT
    printk(k, KERN_INFO, "OF: fdt: Machine model: {model}", func="of_flat_dt_match_machine",
           model=of_flat_dt_get_machine_name(k))
    step(k, "machine descriptor {name!r}", name=mdesc.name)
    if best is None:
        _warn_of_missing_machine(k, root.first.get("compatible", b"").decode("latin-1").split("\0"))
    k.mdesc = mdesc
    warn_of_hooks(k)
    run_hook(k, "dt_fixup")
    early_init_dt_scan_nodes(k)
    return mdesc


def _warn_of_missing_machine(k: Kernel, compatible: list[str]) -> None:
    # bootsim's own: a descriptor that 5.10 has for this board and the build has not, if it says anything of memory
    from bootsim.inputs.machinetable import KNOWN_MACHINES  # takes longer than a step of the boot, and is rarely asked

    for option, known in KNOWN_MACHINES:
        if not set(known.dt_compat.split()).isdisjoint(compatible):
            hooks = [f"{hook} {function}()" for hook in (*HOOKS, "smp", "smp_init")
                     if (function := getattr(known, hook)) is not None]
            hooks += [f"dma_zone_size {known.dma_zone_size:#x}"] if known.dma_zone_size else []
            step(k, "warning: {place}: this build has no machine descriptor for the board, 5.10 has {name!r} "
                 "(CONFIG_{option}; {hooks}): a kernel with it may do otherwise", level=KERN_WARNING,
                 place=place_of(k, "/", "compatible"), name=known.name, option=option,
                 hooks=", ".join(hooks) or "no hooks that concern memory")
            return


def _hwid(reg: bytes | None) -> int | None:
    # the MPIDR affinity of a cpu node: the first non-zero cell, which must be the last and fit in 24 bits
    words = cells(reg) if reg else []
    if not words or len(reg or b"") % 4:
        return None
    while len(words) > 1 and words[0] == 0:
        words = words[1:]
    return words[0] if len(words) == 1 and not words[0] & ~MPIDR_HWID_BITMASK else None


def arm_dt_init_cpu_maps(k: Kernel) -> None:
    """Read which CPUs are possible from /cpus. The boot CPU becomes logical CPU 0.

    Source: arch/arm/kernel/devtree.c arm_dt_init_cpu_maps()
    Differs: enable-methods are not looked up; the only one that may count CPUs is chosen by Armada XP's dt_fixup too.
    """
    if of_find_node_by_path(k, "/cpus") is None:
        return
    boot_mpidr = k.machine.cpu.mpidr & MPIDR_HWID_BITMASK if k.is_smp else 0
    logical: dict[int, int] = {}
    cpuidx, bootcpu_valid = 1, False
    for cpu in of_get_cpu_nodes(k):
        hwid = _hwid(cpu.properties.get("reg"))
        if hwid is None:
            step(k, "{path}: reg is missing or no MPIDR: the CPU list of the tree is ignored", path=cpu.path)
            return
        if hwid in logical.values():
            warn(k, "arch/arm/kernel/devtree.c:126", "Duplicate /cpu reg properties in the DT",
                 func="arm_dt_init_cpu_maps")
            return
        if hwid == boot_mpidr:
            i, bootcpu_valid = 0, True
        else:
            i, cpuidx = cpuidx, cpuidx + 1
        if cpuidx > k.nr_cpu_ids:
            warn(k, "arch/arm/kernel/devtree.c:148", f"DT /cpu {cpuidx} nodes greater than max cores {k.nr_cpu_ids}, "
                 "capping them", func="arm_dt_init_cpu_maps")
            cpuidx = k.nr_cpu_ids
            break
        logical[i] = hwid
    if not bootcpu_valid:
        printk(k, KERN_WARNING, "DT missing boot CPU MPIDR[23:0], fall back to default cpu_logical_map")
        step(k, "cause: no node of /cpus has the reg {mpidr:#x}, which the processor that boots says of itself; "
             "--cpu mpidr=VALUE states another MPIDR", mpidr=boot_mpidr)
        return
    k.num_possible_cpus = cpuidx
    k.cpus[0].logical_map = logical[0]
    k.cpus += [CpuState(k.machine.reset_cp15(), logical[i]) for i in range(1, cpuidx)]
    k.facts.add("num_possible_cpus", cpuidx, "cpus", "cpu nodes, at most NR_CPUS",
                ("dtb:/cpus:*", "CONFIG_NR_CPUS", "CONFIG_SMP"),
                "arch/arm/kernel/devtree.c arm_dt_init_cpu_maps()")
    step(k, "{cpus} possible CPUs from /cpus", cpus=cpuidx)
