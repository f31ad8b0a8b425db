"""drivers/tty/serial/earlycon.c: which console, where, and what it says."""

from __future__ import annotations

import pytest

from bootsim.linux.arch.arm.asm.fixmap import FIXADDR_TOP

UART = """	bus@10000000 { #address-cells = <1>; #size-cells = <1>; ranges = <0 0x10000000 0x100000>;
		uart0: uart@9000 { compatible = "arm,pl011", "arm,primecell"; reg = <0x9000 0x1000>; %s }; };
	aliases { serial0 = &uart0; };
"""
MMIO = "earlycon: pl11 at MMIO 0x10009000 (options '{}')"
MMIO32 = "earlycon: pl11 at MMIO32 0x10009000 (options '{}')"
ENABLED = "printk: bootconsole [pl11] enabled"
MALFORMED = "Malformed early option '{}'"


def words(board, cmdline, *nodes, **tree):
    k = board.boot(cmdline, *nodes, until="setup_machine_fdt", **tree)
    return board.said(k, "earlycon", "console", "Malformed", "cell count", "no address")


@pytest.mark.parametrize(("cmdline", "said"), [
    ("earlycon=pl011,0x10009000", [MMIO.format(""), ENABLED]),
    ("earlycon=pl011,mmio,0x10009000", [MMIO.format(""), ENABLED]),
    ("earlycon=pl011,mmio32,0x10009000", [MMIO32.format(""), ENABLED]),
    ("earlycon=pl011,0x10009000,9600n8 console=ttyAMA0", [MMIO.format("9600n8"), ENABLED]),
    ("console=pl011,0x10009000", [MMIO.format(""), ENABLED]),
    ("console=ttyAMA0", []), ("earlycon=foo", []), ("earlycon=pl0110,0x10009000", []),
    ("earlycon=", [MALFORMED.format("earlycon")]), ("console=", [MALFORMED.format("console")]),
    ("earlycon=pl011", ["earlycon: pl11 at I/O port 0x0 (options '')", MALFORMED.format("earlycon")]),
    ("earlycon=pl011,115200", ["earlycon: pl11 at I/O port 0x0 (options '')", MALFORMED.format("earlycon")]),
    ("earlycon=pl011,0x10009000 earlycon=pl011,0x1000a000", [MMIO.format(""), ENABLED]),
    ("earlycon", [MALFORMED.format("earlycon")]), ("console", [MALFORMED.format("console")]),
])
def test_a_console_by_name(board, cmdline, said):
    assert words(board, cmdline) == said


@pytest.mark.parametrize(("path", "extra", "said"), [
    ("serial0:115200n8", "", [MMIO.format("115200n8"), ENABLED]),
    ("serial0", "", [MMIO.format(""), ENABLED]),
    ("/bus/uart", "reg-io-width = <4>;", [MMIO32.format(""), ENABLED]),
    ("/bus@10000000/uart@9000:", "reg-offset = <0x100>;", ["earlycon: pl11 at MMIO 0x10009100 (options '')", ENABLED]),
    ("/bus/uart", "reg-io-width = <3>;", ["earlycon: [pl011] unsupported reg-io-width", MALFORMED.format("earlycon")]),
    ("/nothere", "", ["OF: fdt: earlycon: stdout-path /nothere not found"]),
    ("serial7:9600", "", ["OF: fdt: earlycon: stdout-path serial7 not found"]),
    ("/bus", "", [MALFORMED.format("earlycon")]),
])
def test_the_console_of_stdout_path(board, path, extra, said):
    assert words(board, "earlycon", UART % extra, chosen=f'stdout-path = "{path}";') == said


def test_an_address_that_no_range_holds(board):
    uart = UART.replace("0x9000 0x1000", "0x200000 0x1000") % ""
    assert words(board, "earlycon", uart, chosen='stdout-path = "serial0";') == [
        "earlycon: [pl011] bad address", MALFORMED.format("earlycon")]


def test_a_build_without_the_driver(board):
    assert words(board, "earlycon=pl011,0x10009000", earlycon=["qdf2400_e44"]) == []
    assert words(board, "earlycon", build={"SERIAL_EARLYCON": False}) == []


def test_a_driver_with_a_register_width_of_its_own(board):
    said = words(board, "earlycon=uart8250,mmio32,0x11002000,115200n8", earlycon=["uart8250"])
    assert said == ["earlycon: uart8250 at MMIO32 0x11002000 (options '115200n8')",
                    "printk: bootconsole [uart8250] enabled"]


@pytest.mark.parametrize(("entry", "kind"), [
    ("lpuart32", "MMIO32be"), ("lpuart32 fsl,ls1021a-lpuart", "MMIO32be"), ("lpuart32 fsl,imx7ulp-lpuart", "MMIO32"),
    ("mtk8250 mediatek,mt6577-uart", "MMIO32"), ("lpuart fsl,vf610-lpuart", "MMIO"),
])
def test_a_driver_that_insists_on_a_kind_of_access(board, entry, kind):
    said = words(board, f"earlycon={entry.split()[0]},0x11002000", earlycon=[entry])
    assert f"at {kind} 0x11002000" in said[0]


def test_without_a_list_options_tell_the_consoles(board):
    assert words(board, "earlycon=uart8250,mmio32,0x11002000", earlycon=[]) == []
    said = words(board, "earlycon=uart8250,mmio32,0x11002000", earlycon=[], build={"SERIAL_8250_CONSOLE": True})
    assert said[0].startswith("earlycon: uart8250 at MMIO32")


def test_the_first_entry_of_the_table_is_taken(board):
    consoles = ["other arm,pl011", "pl011 arm,pl011"]
    said = words(board, "earlycon", UART % "", chosen='stdout-path = "serial0";', earlycon=consoles)
    assert said[0] == "earlycon: other0 at MMIO 0x10009000 (options '')"
    # by name, an entry that no node asks for goes first
    said = words(board, "earlycon=lpuart32,0x11002000", earlycon=["lpuart32 fsl,imx7ulp-lpuart", "lpuart32"])
    assert "MMIO32be" in said[0]


def test_i_o_ports_are_not_mapped_yet(board):
    k = board.boot("earlycon=uart8250,io,0x3f8", earlycon=["uart8250"])
    assert k.panicked.reason is None
    assert "I/O port 0x3f8" in k.panicked.cause


def test_the_page_stays_mapped(board):
    k = board.boot("earlycon=pl011,0x10009000", until="bootmem_init:entry")
    assert k.translate(FIXADDR_TOP).pa == 0x10009000
    assert not board.boot("console=ttyAMA0", until="bootmem_init:entry").translate(FIXADDR_TOP)


def test_a_panic_while_its_page_is_away_is_silent(board):
    k = board.boot("earlycon=pl011,0x10009000 mem=512")
    assert board.boot("earlycon=pl011,0x10009000 mem=512", until=None).panicked.reason is None
    assert "early console" in board.boot("earlycon=pl011,0x10009000 mem=512", until=None).panicked.cause
    assert k.panicked is None  # it is later than the stage
