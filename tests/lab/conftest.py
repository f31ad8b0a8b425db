"""A machine at hand, for tests that want no other."""

import pytest

import bootsim
from bootsim.lab.session import Session
from bootsim.views import alive


@pytest.fixture(scope="module")
def booted():
    return bootsim.boot("vexpress.dts", mem="256M", cmdline="norandmaps")


@pytest.fixture
def lab(booted):
    return Session(booted.copy(), alive.text)
