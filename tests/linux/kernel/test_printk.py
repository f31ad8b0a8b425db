"""kernel/printk/printk.c: lines, and the size of the log."""

from __future__ import annotations

import pytest

from bootsim.linux.kernel.printk import KERN_INFO, printk

CPUS = "cpus { #address-cells = <1>; #size-cells = <0>; " + "".join(
    f'cpu@{i} {{ device_type = "cpu"; compatible = "arm,cortex-a9"; reg = <{i}>; }}; ' for i in range(4)) + "};\n"


@pytest.mark.parametrize(("cmdline", "said"), [
    ("log_buf_len=1M", ["printk: log_buf_len: 1048576 bytes"]),
    ("log_buf_len=1048577", ["printk: log_buf_len: 2097152 bytes"]),
    ("log-buf-len=2M", ["printk: log_buf_len: 2097152 bytes"]),
    ("log_buf_len=1", []), ("log_buf_len=0", []),
    ("log_buf_len=4G", ["printk: log_buf over 2G is not supported.",
                        "printk: log_buf_len: 2147483648 text bytes not available"])])
def test_log_buf_len(board, cmdline, said):
    assert board.said(board.boot(cmdline, until="mem_init:entry"), "log_buf") == [
        *said[:-1], *([f"Kernel command line: {cmdline}"] if "log_buf" in cmdline else []), *said[-1:]]


def test_many_processors_ask_for_a_larger_log(board):
    build = {"LOG_BUF_SHIFT": 14, "LOG_CPU_MAX_BUF_SHIFT": 12}
    k = board.boot("", CPUS, smp=4, build=build, until="mem_init:entry")
    assert board.said(k, "log_buf") == [
        "printk: log_buf_len individual max cpu contribution: 4096 bytes",
        "printk: log_buf_len total cpu_extra contributions: 12288 bytes", "printk: log_buf_len min size: 16384 bytes",
        "printk: log_buf_len: 32768 bytes"]


@pytest.mark.parametrize(("caller", "length"), [(False, 989), (True, 973)])
def test_a_line_is_cut_to_what_the_kernels_buffer_holds(board, caller, length):
    k = board.prepare(build={"PRINTK_CALLER": caller})
    printk(k, KERN_INFO, "x" * 2000)
    assert len(k.log.records[-1].text) == length
