"""Where something other than RAM answers, and what an access to elsewhere comes to."""

from itertools import pairwise

import pytest

import bootsim
from bootsim.hw.mmu import Fault
from bootsim.lab.devices import devices
from bootsim.lab.session import Session
from bootsim.linux.drivers.of.base import DeviceNode
from bootsim.views import alive


@pytest.fixture
def lab():
    lab = Session(bootsim.boot("vexpress.dts", config="3G/1G", mem="256M"), alive.text)
    lab.names()
    return lab


def answers(found, pa):
    return any(start <= pa < end for start, end in found)


def test_registers_behind_buses(lab):
    found = devices(lab.k)
    assert all(start % 4096 == end % 4096 == 0 for start, end in found)
    assert all(before[1] < after[0] for before, after in pairwise(found))
    assert answers(found, 0x10009000)  # a UART: behind two buses
    assert answers(found, 0x1E000004)  # the Snoop Control Unit
    assert not answers(found, 0x60000000)  # RAM is no device
    assert not answers(found, 0x30000000)


def test_what_a_bus_does_not_tell_is_as_above_it(lab):
    def node(children=(), **properties):
        made = DeviceNode("", "", "", {name.replace("_", "-"): b"".join(word.to_bytes(4, "big") for word in words)
                                       for name, words in properties.items()}, [])  # fmt: skip
        made.children = list(children)
        return made

    count = {"#address-cells": (2,), "#size-cells": (1,)}
    lab.k.of.of_root = node([
        node([node(reg=(0, 0x20000000, 0x1000))], ranges=()),
        node([node(reg=(0x21000000, 0x1000))], **count | {"#address-cells": (1,)}, ranges=(0x21000000, 0, 0x22000000,
                                                                                            0x1000)),
        node([node(reg=(0x23000000, 0x1000))], **count | {"#size-cells": (0,), "#address-cells": (1,)}, ranges=()),
        node([node(reg=(5,))], **{"#address-cells": (0,), "#size-cells": (0,)}, ranges=(0, 0x24000000)),
        node([node(reg=(0, 0x25000000, 0x1000))]),  # no ranges: nothing of it is the processor's
    ], **count)
    found = devices(lab.k)
    assert [pa for pa in range(0x20000000, 0x26000000, 1 << 24) if answers(found, pa)] == [0x20000000, 0x22000000]
    lab.k.of.of_root = node([node(reg=(0x26000000, 0x1000))])
    assert answers(devices(lab.k), 0x26000000)


def test_a_load_where_nothing_is(lab):
    assert isinstance(lab.load(lab.ioremap(0x10009000, 4096)), int)
    fault = lab.load(lab.ioremap(0x30000000, 4096))
    assert isinstance(fault, Fault)
    assert (fault.kind, lab.k.cpus[0].cp15.dfsr) == ("external abort", 8)

