"""Early consoles: names and order from symbols, as the images of real kernels have them."""

import os
import re
from pathlib import Path

import pytest

from bootsim.inputs.configfile import read_build
from bootsim.inputs.earlycontable import KNOWN_CONSOLES, earlycon_of_map, earlycon_of_options

DEBIAN = read_build(Path(__file__).parents[1] / "golden" / "builds" / "deb510armmp.yaml")

# The symbols of Debian's 5.10.0-32-armmp, in the order of their addresses
SYMBOLS = """xenboot233 bcm2835aux230 uart206 uart205 ns16550a204 ns16550203 uart202 uart8250201 qdf2400_e44349 pl011348
pl011347 exynos4210272 s5pv210271 s3c6400270 s3c2440269 s3c2412268 s3c2410267 ec_imx21205 ec_imx6q204 meson205 meson204
omapserial242 omapserial241 omapserial240 arc_uart209"""


def symbols_of(names):
    return {f"__p__UNIQUE_ID___earlycon_{name}": [0xC1000000 + 4 * at] for at, name in enumerate(names)}


def test_debians_consoles_from_symbols_are_those_of_its_vmlinux():
    assert earlycon_of_map(symbols_of(SYMBOLS.split())) == (DEBIAN.earlycon, [])


def test_options_stand_in_where_no_list_is_there():
    # those of Debian's that the schema has an option for, in the same order but for the place of drivers
    said = earlycon_of_options(DEBIAN.config)
    assert set(DEBIAN.earlycon) - set(said) == {"xenboot", "bcm2835aux brcm,bcm2835-aux-uart", "arc_uart snps,arc-uart"}
    assert [entry for entry in DEBIAN.earlycon if entry in said] == list(said)
    alone = DEBIAN.config.replace(SERIAL_8250_CONSOLE=False, SERIAL_8250_OMAP=True)
    assert earlycon_of_options(alone)[0] == "qdf2400_e44"


def test_a_console_that_is_not_known_has_its_name_alone():
    assert earlycon_of_map(symbols_of(["mine7", "pl01112"])) == (("mine", "pl011 arm,pl011"), ["earlycon mine"])
    assert earlycon_of_map({}) == ((), [])


@pytest.mark.skipif(not os.environ.get("KERNEL_SRC"), reason="needs KERNEL_SRC, a tree of Linux 5.10")
def test_table_is_that_of_the_source():
    declared: dict[str, list[str]] = {}
    found = re.compile(r'^(OF_)?EARLYCON_DECLARE\((\w+),\s*(?:"([^"]*)")?', re.MULTILINE)
    for path in sorted((Path(os.environ["KERNEL_SRC"]) / "drivers").glob("**/*.c")):
        for _, name, compatible in found.findall(path.read_text(errors="replace")):
            declared.setdefault(name, []).append(compatible)
    for name, compatibles in KNOWN_CONSOLES.items():
        # the "uart" of Nios II is not for ARM
        assert list(compatibles) == [each for each in declared[name] if each != "altr,uart-1.0"]
