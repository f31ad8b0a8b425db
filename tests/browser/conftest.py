"""A real browser for the report page, or the reason why there is none. `make browser-test` asks for it."""

import os
import shutil
import tempfile
from pathlib import Path

import pytest

ASKED = os.environ.get("BOOTSIM_BROWSER", "0") not in ("", "0")
FLAGS = (
    "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-sync",
    "--disable-background-networking", "--disable-component-update", "--disable-dev-shm-usage",
    "--window-size=1400,1000",
)  # fmt: skip


def missing():
    """Why the browser tests cannot run, or None."""
    if not ASKED:
        return "not asked for: run `make browser-test`"
    try:
        import selenium  # noqa: F401
    except ImportError:
        return "selenium is not installed (pip install selenium)"
    for program, package in (("chromium", "chromium"), ("chromedriver", "chromium-driver")):
        if shutil.which(program) is None:
            return f"no {program} (Debian, Ubuntu: apt install {package})"
    return None


def pytest_collection_modifyitems(items):
    reason = missing()
    for item in items:
        if Path(__file__).parent in item.path.parents:
            item.add_marker(pytest.mark.browser)
            if reason is not None:
                item.add_marker(pytest.mark.skip(reason=reason))


def pytest_terminal_summary(terminalreporter):
    reason = missing()
    if ASKED and reason is not None:
        terminalreporter.write_line(f"BROWSER TESTS DID NOT RUN. skipped: {reason}")


@pytest.fixture(scope="session")
def chromium():
    """One browser for all tests, with an empty profile of its own."""
    from selenium import webdriver
    from selenium.webdriver.chrome.options import Options
    from selenium.webdriver.chrome.service import Service

    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as profile:
        options = Options()
        for flag in (*FLAGS, f"--user-data-dir={profile}"):
            options.add_argument(flag)
        options.binary_location = shutil.which("chromium")
        options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
        driver = webdriver.Chrome(options=options, service=Service(shutil.which("chromedriver")))
        try:
            yield driver
        finally:
            driver.quit()
