"""The plumbing from a message to a record, and the lazy import that makes it cheap."""

import subprocess
import sys

import pytest

from bootsim.log import make_logger


def say(log, text="hello", **fields):
    log.msg(text, level=6, stage="setup_arch", func="f", kernel=True, fields=fields)


def test_records_are_numbered_and_keep_their_fields():
    records = []
    log = make_logger(records)
    say(log, base=0x60000000)
    say(log, "again")
    assert [r.seq for r in records] == [0, 1]
    first = records[0]
    assert (first.text, first.level, first.stage, first.func, first.kernel) == ("hello", 6, "setup_arch", "f", True)
    assert first.fields == {"base": 0x60000000}


def test_two_loggers_do_not_share_numbers():
    one, two = [], []
    say(make_logger(one))
    say(make_logger(two))
    assert one[0].seq == two[0].seq == 0


def test_bound_loggers_share_numbers_and_sink():
    records = []
    log = make_logger(records)
    say(log)
    say(log.bind(board="x"))
    say(log)
    assert [r.seq for r in records] == [0, 1, 2]
    assert records[0]._replace(seq=1) == records[1]


LAZY = """
import sys
from bootsim.log import import_structlog_lazily, make_logger
import_structlog_lazily()
records = []
make_logger(records).msg("x", level=6, stage="s", func="f", kernel=True, fields={})
assert len(records) == 1
assert "asyncio" not in sys.modules and "structlog.dev" not in sys.modules, sorted(sys.modules)
import structlog
from structlog.processors import JSONRenderer
"""


def run(code):
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)


def test_lazy_structlog_loads_neither_asyncio_nor_the_console_renderer():
    done = run(LAZY)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize(
    "use",
    [
        "structlog.get_logger().info('hello')",
        "from structlog import get_logger; get_logger().info('hello')",
        "import structlog.stdlib; structlog.get_logger().info('hello')",
        "structlog.dev.ConsoleRenderer; structlog.get_logger().info('hello')",
    ],
)
def test_lazy_structlog_is_whole_for_whoever_asks_more(use):
    done = run(LAZY + use)
    assert done.returncode == 0, done.stderr
    assert "hello" in done.stdout


def test_lazy_structlog_refuses_names_it_does_not_have():
    done = run(LAZY + "structlog.no_such_name")
    assert "AttributeError" in done.stderr
