"""bootsim digest."""

from __future__ import annotations

import json


def digest(bootsim, *args):
    result = bootsim("digest", *args)
    assert result.exit_code == 0, result.output
    return result.stdout.split()[0]


def test_equal_boots_have_equal_digests(bootsim, tmp_path):
    bootsim("boot", "vexpress.dts", "--mem", "256M", "--state", tmp_path / "state", "-q")
    replayed = digest(bootsim, "vexpress.dts", "--mem", "256M")
    assert len(replayed) == 64
    assert replayed == digest(bootsim, "vexpress.dts", "--mem", "256M") == digest(bootsim, tmp_path / "state")


def test_other_boots_have_others(bootsim):
    found = {digest(bootsim, "vexpress.dts", "--mem", mem) for mem in ("256M", "257M", "512M")}
    assert len(found) == 3


def test_parts_and_json(bootsim):
    told = json.loads(bootsim("digest", "vexpress.dts", "--json").stdout)["vexpress.dts"]
    assert {"log", "mem_init"} <= told["parts"].keys()
    assert "  free_initmem" in bootsim("digest", "vexpress.dts", "--parts").stdout


def test_bad_input(bootsim, tmp_path):
    assert bootsim("digest", tmp_path).exit_code == 2
