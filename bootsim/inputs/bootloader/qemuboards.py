"""QEMU 7.2's ARM machines that can boot Linux from a device tree: what each gives its loader (hw/arm/*.c).

The first machine that lists one of the tree's compatible strings is meant, the tree's first string first; a machine
without any is reached by its name alone.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from bootsim.errors import InputError
from bootsim.escape import escaped

if TYPE_CHECKING:
    from bootsim.inputs.tree import Tree

_MIB = 1 << 20
_GIB = 1 << 30
_DEFAULT_RAM = 128 * _MIB
_NO_LIMIT = 4096 * _GIB


class Board:
    """One machine.

    `ram_pa` is where RAM starts and the boot stub lies; `sizes` are the only amounts of RAM that it takes (bytes),
    `max_ram_bytes` the most, `ram_bytes` what it has when nobody says. `told_max` bounds what the tree is told, `kept`
    is what it is not told at the end, `mapped_max` bounds what is really there at `ram_pa`, and what is more than
    `told_max` lies at `rest_pa`. With `fixed`, QEMU passes over -m. `cpus` are the processors it starts, the fewest and
    the most. `board_id` is in r1; `conduit` is PSCI's, `virtio_pa` the address of virtio transports, and `setup_pa`
    that of code which the stub calls first.
    """

    # by hand: what makes such a class from its fields takes longer than all else that a boot needs of this file
    def __init__(self, name: str, compatible: tuple[str, ...], ram_pa: int, board_id: int = 0xFFFFFFFF,
                 max_ram_bytes: int = _NO_LIMIT, *, sizes: tuple[int, ...] = (), ram_bytes: int = _DEFAULT_RAM,
                 fixed: bool = False, told_max: int = _NO_LIMIT, mapped_max: int = _NO_LIMIT,
                 rest_pa: int | None = None, kept: int = 0, cpus: tuple[int, int, int] = (1, 1, 1), conduit: str = "",
                 virtio_pa: int = 0, setup_pa: int | None = None) -> None:
        self.name = name
        self.compatible = compatible
        self.ram_pa = ram_pa
        self.board_id = board_id
        self.max_ram_bytes = max_ram_bytes
        self.sizes = sizes
        self.ram_bytes = ram_bytes
        self.fixed = fixed
        self.told_max = told_max
        self.mapped_max = mapped_max
        self.rest_pa = rest_pa
        self.kept = kept
        self.cpus = cpus
        self.conduit = conduit
        self.virtio_pa = virtio_pa
        self.setup_pa = setup_pa


def _raspi(name: str, compatible: tuple[str, ...], ram_bytes: int, cpus: int) -> Board:
    # the last 64 MiB are the video core's
    return Board(name, compatible, 0, 0xC42, sizes=(ram_bytes,), ram_bytes=ram_bytes, kept=64 * _MIB,
                 cpus=(cpus,) * 3, setup_pa=0x420)  # fmt: skip


def _aspeed(soc: int, name: str, *compatible: str, ram_mib: int, cpus: int = 1) -> Board:
    sizes = {2400: (64, 128, 256, 512), 2500: (128, 256, 512, 1024), 2600: (256, 512, 1024, 2048)}[soc]
    return Board(name, compatible, 0x40000000 if soc == 2400 else 0x80000000, cpus=(cpus,) * 3,
                 sizes=tuple(mib * _MIB for mib in sizes), ram_bytes=ram_mib * _MIB)  # fmt: skip


def _npcm(name: str, *compatible: str, ram_mib: int) -> Board:
    sizes = tuple(mib * _MIB for mib in (128, 256, 512, 1024, 2048))
    return Board(name, compatible, 0, sizes=sizes, ram_bytes=ram_mib * _MIB, cpus=(2, 2, 2), setup_pa=0xFFFF1000)


BOARDS = (
    Board("vexpress-a9", ("arm,vexpress,v2p-ca9",), 0x60000000, 0x8E0, _GIB, cpus=(1, 1, 4), virtio_pa=0x10013000),
    Board("vexpress-a15", (), 0x80000000, 0x8E0, 30 * _GIB, cpus=(1, 1, 4), virtio_pa=0x1C130000),
    Board("virt", ("linux,dummy-virt",), 0x40000000, max_ram_bytes=255 * _GIB, cpus=(1, 1, 8), conduit="hvc"),
    _raspi("raspi0", ("raspberrypi,model-zero", "raspberrypi,model-zero-w"), 512 * _MIB, 1),
    _raspi("raspi1ap", ("raspberrypi,model-a-plus", "brcm,bcm2835"), 512 * _MIB, 1),
    _raspi("raspi2b", ("raspberrypi,2-model-b", "brcm,bcm2836"), _GIB, 4),
    Board("sabrelite", ("fsl,imx6q-sabrelite", "fsl,imx6q"), 0x10000000, max_ram_bytes=0xF0000000, cpus=(1, 1, 4)),
    Board("mcimx6ul-evk", ("fsl,imx6ul-14x14-evk", "fsl,imx6ul"), 0x80000000, max_ram_bytes=2 * _GIB, conduit="smc"),
    Board("mcimx7d-sabre", ("fsl,imx7d-sdb", "fsl,imx7d"), 0x80000000, max_ram_bytes=2 * _GIB, cpus=(1, 1, 2),
          conduit="smc"),
    Board("imx25-pdk", ("fsl,imx25-pdk", "fsl,imx25"), 0x80000000, 1771, 512 * _MIB),
    Board("kzm", ("fsl,imx31",), 0x80000000, 1722, 512 * _MIB),
    Board("xilinx-zynq-a9", ("xlnx,zynq-zc702", "xlnx,zynq-7000"), 0, 0xD32, 2 * _GIB, setup_pa=0x100),
    Board("orangepi-pc", ("xunlong,orangepi-pc", "allwinner,sun8i-h3"), 0x40000000, 0, sizes=(_GIB,), ram_bytes=_GIB,
          cpus=(4, 4, 4), conduit="smc"),
    Board("cubieboard", ("cubietech,a10-cubieboard", "allwinner,sun4i-a10"), 0x40000000, 0x1008,
          sizes=(512 * _MIB, _GIB), ram_bytes=_GIB),
    Board("smdkc210", ("samsung,smdkv310", "samsung,exynos4210"), 0x40000000, 0xB16, ram_bytes=_GIB, fixed=True,
          cpus=(2, 2, 2)),
    Board("nuri", (), 0x40000000, 0xD33, ram_bytes=_GIB, fixed=True, cpus=(2, 2, 2)),
    Board("highbank", ("calxeda,highbank",), 0, cpus=(1, 1, 4), conduit="smc"),
    Board("midway", ("calxeda,ecx-2000",), 0, cpus=(1, 1, 4), conduit="smc"),
    Board("realview-eb", ("arm,realview-eb",), 0, 0x33B, told_max=256 * _MIB),
    Board("realview-eb-mpcore", (), 0, 0x33B, told_max=256 * _MIB, cpus=(1, 1, 4)),
    Board("realview-pb-a8", ("arm,realview-pba8",), 0x70000000, 0x769, told_max=512 * _MIB, rest_pa=0x20000000),
    Board("realview-pbx-a9", ("arm,realview-pbx",), 0, 0x76D, told_max=512 * _MIB, mapped_max=256 * _MIB,
          rest_pa=0x20000000, cpus=(1, 1, 4)),
    Board("versatilepb", ("arm,versatile-pb",), 0, 0x183, 256 * _MIB),
    Board("versatileab", ("arm,versatile-ab",), 0, 0x25E, 256 * _MIB),
    Board("integratorcp", ("arm,integrator-cp",), 0, 0x113),
    _aspeed(2400, "palmetto-bmc", "tyan,palmetto-bmc", "aspeed,ast2400", ram_mib=256),
    _aspeed(2400, "quanta-q71l-bmc", "quanta,q71l-bmc", ram_mib=128),
    _aspeed(2400, "supermicrox11-bmc", "supermicro,x11-bmc", ram_mib=256),
    _aspeed(2500, "ast2500-evb", "aspeed,ast2500-evb", "aspeed,ast2500", ram_mib=512),
    _aspeed(2500, "romulus-bmc", "ibm,romulus-bmc", ram_mib=512),
    _aspeed(2500, "witherspoon-bmc", "ibm,witherspoon-bmc", ram_mib=512),
    _aspeed(2500, "sonorapass-bmc", "ocp,sonorapass-bmc", ram_mib=512),
    _aspeed(2500, "fp5280g2-bmc", "inspur,fp5280g2-bmc", ram_mib=512),
    _aspeed(2500, "g220a-bmc", "bytedance,g220a-bmc", ram_mib=1024),
    _aspeed(2600, "ast2600-evb", "aspeed,ast2600-evb-a1", "aspeed,ast2600-evb", "aspeed,ast2600", ram_mib=1024, cpus=2),
    _aspeed(2600, "tacoma-bmc", "ibm,tacoma-bmc", ram_mib=1024, cpus=2),
    _aspeed(2600, "rainier-bmc", "ibm,rainier-bmc", ram_mib=1024, cpus=2),
    _aspeed(2600, "fuji-bmc", "facebook,fuji-bmc", ram_mib=2048, cpus=2),
    _aspeed(2600, "bletchley-bmc", "facebook,bletchley-bmc", ram_mib=2048, cpus=2),
    _aspeed(2600, "fby35-bmc", ram_mib=2048, cpus=2),
    _aspeed(2600, "qcom-dc-scm-v1-bmc", "qcom,dc-scm-v1-bmc", ram_mib=1024, cpus=2),
    _aspeed(2600, "qcom-firework-bmc", ram_mib=1024, cpus=2),
    _npcm("npcm750-evb", "nuvoton,npcm750-evb", "nuvoton,npcm750", ram_mib=512),
    _npcm("quanta-gsj", "quanta,gsj", "nuvoton,npcm730", ram_mib=512),
    _npcm("quanta-gbs-bmc", "quanta,gbs-bmc", ram_mib=1024),
    _npcm("kudo-bmc", "fii,kudo", ram_mib=1024),
    _npcm("mori-bmc", ram_mib=1024),
)  # fmt: skip
_VEXPRESS_A9, _VEXPRESS_A15 = BOARDS[:2]


def board_of(tree: Tree) -> Board | None:
    """The machine for a tree, None when QEMU has none for its board."""
    for name in tree.board:
        found = next((board for board in BOARDS if name in board.compatible), None)
        if found is not None:
            return board_named("realview-eb-mpcore") if found.name == "realview-eb" and _has_several(tree) else found
        if name.startswith("arm,vexpress,v2p-"):
            return _VEXPRESS_A15
    if "arm,vexpress" not in tree.board:
        return None
    return _VEXPRESS_A15 if tree.banks and tree.banks[0][0] >= _VEXPRESS_A15.ram_pa else _VEXPRESS_A9


def _has_several(tree: Tree) -> bool:
    # the baseboard's core tile is not in the root's compatible
    return len(tree.processors) > 1


def board_named(name: str) -> Board:
    """The machine that QEMU's -M calls so. Raises InputError for one that is not known here."""
    for board in BOARDS:
        if board.name == name:
            return board
    known = ", ".join(board.name for board in BOARDS)
    raise InputError(f"--bootloader qemu:{escaped(name)}: no machine of QEMU 7.2 that is known here, expected {known}")
