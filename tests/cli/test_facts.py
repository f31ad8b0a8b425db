"""bootsim facts."""

import json


def test_the_table(bootsim):
    lines = bootsim("facts", "vexpress.dts", "--mem", "1G").stdout.splitlines()
    assert any(line.startswith("arm_lowmem_limit ") and " 0x90000000 pa " in line for line in lines)
    assert all(line.endswith("]") for line in lines)


def test_roots(bootsim):
    assert "CONFIG_PAGE_OFFSET = 0xc0000000  (build 3G/1G)" in bootsim("facts", "vexpress.dts", "--roots").stdout


def test_json(bootsim):
    told = json.loads(bootsim("facts", "vexpress.dts", "--json").stdout)
    assert "high_memory" in [fact["name"] for fact in told["facts"]]
    assert told["roots"]["sizeof:struct page"]["value"] == "32"
