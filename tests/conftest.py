"""What all tests share."""

import os
import signal
import tarfile
from functools import cache
from pathlib import Path

import pytest
from hypothesis import settings

from bootsim.inputs import dts

# A change is judged by the same examples each time; whoever works on it sees new ones at every run.
settings.register_profile("ci", derandomize=True)
if os.environ.get("CI"):
    settings.load_profile("ci")

# A shell starts its background jobs with Ctrl-C ignored, and their children inherit that.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(scope="session", autouse=True)
def bundled_trees():
    """Compile a bundled tree once for all tests that boot it: its source takes twice as long as the boot."""
    compile_source, compiled = dts.compile_source, {}

    def once(text, filename, include_dirs=(), *, called=None, allow_outside=False):
        if called is None or include_dirs:
            return compile_source(text, filename, include_dirs, called=called, allow_outside=allow_outside)
        key = text, filename, called, allow_outside
        if key not in compiled:
            compiled[key] = compile_source(text, filename, called=called, allow_outside=allow_outside)
        return compiled[key]

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(dts, "compile_source", once)
        yield


@pytest.fixture(scope="session")
def unpack():
    """unpack(NAME, PLACE) puts the golden archive of that name, as "recordings/kc-slub-256", in a folder: PLACE."""

    def put(name, place):
        with tarfile.open(Path(__file__).parent / f"golden/{name}.tar.xz") as archive:
            archive.extraction_filter = getattr(tarfile, "data_filter", None)  # Python 3.11.4 and later
            archive.extractall(place)
        return place

    return put


@pytest.fixture(scope="session")
def recorded(unpack, tmp_path_factory):
    """recorded(NAME): the folder of a recording, for all tests: nobody writes there."""
    return cache(lambda name: unpack(f"recordings/{name}", tmp_path_factory.mktemp("recordings")) / name)
