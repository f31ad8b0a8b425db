"""What all tests share."""

import os
import signal
import tarfile
from pathlib import Path

import pytest
from hypothesis import settings

# A change is judged by the same examples each time; whoever works on it sees new ones at every run.
settings.register_profile("ci", derandomize=True)
if os.environ.get("CI"):
    settings.load_profile("ci")

# A shell starts its background jobs with Ctrl-C ignored, and their children inherit that.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(scope="session")
def unpack():
    """unpack(NAME, PLACE) puts the golden archive of that name, as "recordings/kc-slub-256", in a folder: PLACE."""

    def put(name, place):
        with tarfile.open(Path(__file__).parent / f"golden/{name}.tar.xz") as archive:
            archive.extraction_filter = getattr(tarfile, "data_filter", None)  # Python 3.11.4 and later
            archive.extractall(place)
        return place

    return put
