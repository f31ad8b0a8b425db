"""Error numbers are those of the kernel's uapi headers, which ARM and the usual hosts have in common."""

import errno
import re
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parent.parent / "bootsim"


@pytest.mark.parametrize("home", ["errno.pxd", "linux/include/linux/errno.py"])
def test_numbers_are_the_hosts(home):
    ours = dict(re.findall(r"^ *(E[A-Z0-9]+) = (\d+)$", (PACKAGE / home).read_text(), re.MULTILINE))
    assert len(ours) > 5
    assert {name: int(number) for name, number in ours.items()} == {name: getattr(errno, name) for name in ours}
