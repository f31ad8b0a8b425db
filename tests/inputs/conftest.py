"""A build directory for those that describe one."""

import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))


@pytest.fixture
def place(tmp_path):
    """A build directory: System.map, .config, facts.json of the 3G/1G build."""
    import kernelfiles

    kernelfiles.fill(tmp_path)
    return tmp_path
