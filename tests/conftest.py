"""What all tests share."""

import os

from hypothesis import settings

# A change is judged by the same examples each time; whoever works on it sees new ones at every run.
settings.register_profile("ci", derandomize=True)
if os.environ.get("CI"):
    settings.load_profile("ci")
