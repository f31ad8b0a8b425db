"""The kernels that the census boots: one for ARMv7, one for ARMv6 and ARMv7, one for all processors before ARMv6.

The two latter are the images of real builds (tests/golden/builds) with more processors than were compiled in.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from bootsim.inputs.buildcheck import PROCESSORS
from bootsim.inputs.configfile import read_build
from bootsim.inputs.machinetable import KNOWN_MACHINES

if TYPE_CHECKING:
    from bootsim.inputs.build import KernelBuild

BUILDS = Path(__file__).resolve().parents[2] / "golden" / "builds"
# of every machine of 5.10 at once
ALL_MACHINES = tuple(known.machine for known in KNOWN_MACHINES)


def with_all_machines(build: KernelBuild) -> KernelBuild:
    """The build with every machine, and without the debug port and the command line of one."""
    config = build.config.replace(DEBUG_LL=False, EARLY_PRINTK=False, CMDLINE="")
    return build.replace(machines=ALL_MACHINES, config=config)


def older_builds() -> tuple[KernelBuild, ...]:
    """Kernels for processors before ARMv7."""
    v6, v5 = (with_all_machines(read_build(BUILDS / f"{name}.yaml")) for name in ("v6bcm2835", "v5versatile"))
    before = dict.fromkeys((name for name in PROCESSORS if name not in ("CPU_V6", "CPU_V6K", "CPU_V7")), True)
    return (
        v6.replace(name="v6bcm2835 for ARMv6 and ARMv7", config=v6.config.replace(CPU_V6=True, CPU_V7=True)),
        v5.replace(name="v5versatile for all before ARMv6", config=v5.config.replace(
            **before, IO_36=True, CPU_FEROCEON_OLD_ID=True, CPU_32v4=True, CPU_32v4T=True)),
    )
