"""Where something other than RAM answers, and what an access to elsewhere comes to."""

from itertools import pairwise

import pytest

import bootsim
from bootsim.hw.mmu import Fault
from bootsim.lab.devices import devices
from bootsim.lab.session import Session
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


def test_a_load_where_nothing_is(lab):
    assert isinstance(lab.load(lab.ioremap(0x10009000, 4096)), int)
    fault = lab.load(lab.ioremap(0x30000000, 4096))
    assert isinstance(fault, Fault)
    assert (fault.kind, lab.k.cpus[0].cp15.dfsr) == ("external abort", 8)

