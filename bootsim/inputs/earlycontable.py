"""The early consoles of a build, in the order in which the kernel looks through them (struct earlycon_id).

The linker gathers pointers to them between __earlycon_table and __earlycon_table_end, in an order that the compiler
decides. Symbols tell names and order; the compatible strings are those of 5.10's drivers for 32-bit ARM.

    earlycon_id    0 name   16 compatible   144 setup    (bytes)
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from bootsim.inputs.build import Config
    from bootsim.inputs.vmlinux import Vmlinux

_SYMBOL = re.compile(r"__p__UNIQUE_ID___earlycon_(\w+)")
_COMPATIBLE_OFFSET = 16
_OMAP = tuple(f"ti,omap{n}-uart" for n in (2, 3, 4))

# Consoles by name: the compatible string of each entry, in the order of the driver's source.
KNOWN_CONSOLES: dict[str, tuple[str, ...]] = {
    "arc_uart": ("snps,arc-uart",),
    "bcm2835aux": ("brcm,bcm2835-aux-uart",),
    "bcm63xx_uart": ("brcm,bcm6345-uart",),
    "cdns": ("xlnx,xuartps", "cdns,uart-r1p8", "cdns,uart-r1p12", "xlnx,zynqmp-uart"),
    "dcc": ("",),
    "early_pxa": ("mrvl,pxa-uart",),
    "ec_imx21": ("fsl,imx21-uart",),
    "ec_imx6q": ("fsl,imx6q-uart",),
    "efifb": ("",),
    "exynos4210": ("samsung,exynos4210-uart",),
    "hscif": ("renesas,hscif",),
    "juart": ("altr,juart-1.0",),
    "linflex": ("fsl,s32v234-linflexuart",),
    "lpuart": ("fsl,vf610-lpuart", ""),
    "lpuart32": (
        "fsl,ls1021a-lpuart", "fsl,ls1028a-lpuart", "fsl,imx7ulp-lpuart", "fsl,imx8ulp-lpuart",
        "fsl,imx8qxp-lpuart", "",
    ),
    "meson": ("amlogic,meson-uart", "amlogic,meson-ao-uart"),
    "mlb_usio": ("socionext,milbeaut-usio-uart",),
    "mps2": ("arm,mps2-uart",),
    "msm_serial": ("qcom,msm-uart",),
    "msm_serial_dm": ("qcom,msm-uartdm",),
    "mtk8250": ("mediatek,mt6577-uart",),
    "ns16550": ("ns16550",),
    "ns16550a": ("ns16550a",),
    "omap8250": (*_OMAP, "ti,am654-uart"),
    "omapserial": _OMAP,
    "owl": ("actions,owl-uart",),
    "pl011": ("arm,pl011", "arm,sbsa-uart"),
    "qcom_geni": ("qcom,geni-debug-uart",),
    "qdf2400_e44": ("",),
    "rda": ("rda,8810pl-uart",),
    "s3c2410": ("samsung,s3c2410-uart",),
    "s3c2412": ("samsung,s3c2412-uart",),
    "s3c2440": ("samsung,s3c2440-uart",),
    "s3c6400": ("samsung,s3c6400-uart",),
    "s5pv210": ("samsung,s5pv210-uart",),
    "sci": ("renesas,sci",),
    "scif": ("renesas,scif", "renesas,scif-r7s9210"),
    "scifa": ("renesas,scifa",),
    "scifb": ("renesas,scifb",),
    "smh": ("",),
    "sprd_serial": ("sprd,sc9836-uart",),
    "uart": ("", "nvidia,tegra20-uart", "snps,dw-apb-uart"),
    "uart8250": ("",),
    "uartlite": ("",),
    "uartlite_a": ("xlnx,xps-uartlite-1.00.a",),
    "uartlite_b": ("xlnx,opb-uartlite-1.00.b",),
    "uniphier": ("socionext,uniphier-uart",),
    "xenboot": ("",),
}  # fmt: skip

# Consoles by the options that must all be set, where nobody says which a build has. gcc 10 and 12 lay the entries of a
# file out from its last to its first.
_BY_OPTIONS: tuple[tuple[tuple[str, ...], tuple[str, ...]], ...] = (
    (("SERIAL_EARLYCON_ARM_SEMIHOST",), ("smh",)),
    (("SERIAL_8250_CONSOLE", "SERIAL_8250_OMAP"), ("omap8250",)),
    (("SERIAL_8250_CONSOLE",), (
        "uart snps,dw-apb-uart", "uart nvidia,tegra20-uart", "ns16550a ns16550a", "ns16550 ns16550", "uart ",
        "uart8250",
    )),
    (("SERIAL_8250_CONSOLE", "SERIAL_8250_MT6577"), ("mtk8250",)),
    (("SERIAL_8250_CONSOLE", "SERIAL_8250_UNIPHIER"), ("uniphier",)),
    (("SERIAL_AMBA_PL011_CONSOLE",), ("qdf2400_e44", "pl011")),
    (("SERIAL_SAMSUNG_CONSOLE",), ("exynos4210", "s5pv210", "s3c6400", "s3c2440", "s3c2412", "s3c2410")),
    (("SERIAL_SH_SCI_EARLYCON",), ("hscif", "scifb", "scifa", "scif", "sci")),
    (("SERIAL_IMX_EARLYCON",), ("ec_imx21", "ec_imx6q")),
    (("SERIAL_MESON_CONSOLE",), ("meson",)),
    (("SERIAL_MSM_CONSOLE",), ("msm_serial_dm", "msm_serial")),
    (("SERIAL_OMAP_CONSOLE",), ("omapserial",)),
    (("SERIAL_XILINX_PS_UART_CONSOLE",), ("cdns",)),
    (("SERIAL_FSL_LPUART_CONSOLE",), ("lpuart32", "lpuart")),
)  # fmt: skip


def earlycon_of_options(config: Config) -> tuple[str, ...]:
    """The early consoles that a build's options compile in."""
    entries: list[str] = []
    for options, names in _BY_OPTIONS:
        if all(getattr(config, option) for option in options):
            for name in names:
                known = (name.strip(),) if " " in name else tuple(_entry(name, c) for c in KNOWN_CONSOLES[name][::-1])
                entries += known
    return tuple(entries)


def earlycon_of_image(vmlinux: Vmlinux) -> tuple[str, ...]:
    """The early consoles of a kernel image: "NAME COMPATIBLE", or "NAME" of one that no node asks for."""
    begin, end = (vmlinux.symbols.get(name, [0])[0] for name in ("__earlycon_table", "__earlycon_table_end"))
    ids = [vmlinux.read_word(at) for at in range(begin, end, 4)]
    return tuple(_entry(vmlinux.read_string(at), vmlinux.read_string(at + _COMPATIBLE_OFFSET)) for at in ids)


def earlycon_of_map(symbols: Mapping[str, Sequence[int]]) -> tuple[tuple[str, ...], list[str]]:
    """The early consoles of a symbol table, and the names of those of which only the name is known."""
    tails = [(tail[1], symbols[name]) for name in symbols if (tail := _SYMBOL.fullmatch(name))]
    found = sorted((address, *_split(tail)) for tail, addresses in tails for address in addresses)
    # the compiler counts entries up as the source has them, whatever order they end up in
    counts: dict[str, list[int]] = {}
    for _, name, count in found:
        counts.setdefault(name, []).append(count)
    entries, unknown = [], []
    for _, name, count in found:
        nth, known = sorted(counts[name]).index(count), KNOWN_CONSOLES.get(name, ())
        entries.append(_entry(name, known[nth] if nth < len(known) else ""))
        if nth >= len(known):
            unknown.append(f"earlycon {name}")
    return tuple(entries), unknown


# A name and the compiler's count behind it: names may end in digits themselves.
def _split(tail: str) -> tuple[str, int]:
    known = [name for name in KNOWN_CONSOLES if tail.startswith(name) and tail[len(name) :].isdigit()]
    name = max(known, key=len, default=tail.rstrip("0123456789"))
    return name, int(tail[len(name) :] or 0)


def _entry(name: str, compatible: str) -> str:
    return f"{name} {compatible}".rstrip()
