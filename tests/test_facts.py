"""Facts: values with a history, and derivations down to the roots."""

import json

import pytest

from bootsim.facts import Facts


@pytest.fixture
def facts():
    f = Facts()
    f.add("PHYS_OFFSET", 0x60000000, "pa", "first bank", ("dtb:/memory@60000000:reg",), "head.S")
    f.add("vmalloc_min", 0xF0000000, "va", "VMALLOC_END - 240M", (), "mmu.c")
    f.add("limit", 0x90000000, "pa", "PHYS_OFFSET + (vmalloc_min - PAGE_OFFSET)",
          ("PHYS_OFFSET", "vmalloc_min", "CONFIG_PAGE_OFFSET"), "mmu.c")  # fmt: skip
    return f


def test_get_gives_the_newest_and_history_the_rest(facts):
    facts.add("limit", 0x80000000, "pa", "again", ("limit",), "mmu.c")
    assert facts.get("limit").value == 0x80000000
    assert [f.value for f in facts.history("limit")] == [0x90000000, 0x80000000]
    assert facts.get("nothing") is None
    assert facts.history("nothing") == ()
    with pytest.raises(KeyError):
        facts.value("nothing")


def test_iteration_keeps_the_order_of_first_appearance(facts):
    facts.add("PHYS_OFFSET", 0, "pa", "", ())
    assert [f.name for f in facts] == ["PHYS_OFFSET", "vmalloc_min", "limit"]
    assert len(facts) == 3
    assert "limit" in facts


def test_roots_are_the_inputs_nobody_derived(facts):
    assert facts.roots("limit") == ["CONFIG_PAGE_OFFSET", "dtb:/memory@60000000:reg"]
    assert facts.roots() == ["CONFIG_PAGE_OFFSET", "dtb:/memory@60000000:reg"]
    assert facts.roots("unknown") == []


def test_derivation_uses_the_value_that_was_current_then(facts):
    facts.add("top", 1, "pa", "limit + 1", ("limit",))
    facts.add("limit", 0x70000000, "pa", "later", ())
    tree = facts.derivation("top")
    assert tree.inputs[0].fact.value == 0x90000000
    assert facts.derivation("limit").inputs == ()


def test_a_fact_made_from_its_own_old_value_ends(facts):
    facts.add("limit", 0x80000000, "pa", "min(limit, ...)", ("limit", "cmdline:mem"))
    tree = facts.derivation("limit")
    assert tree.inputs[0].fact.value == 0x90000000
    assert facts.roots("limit") == ["CONFIG_PAGE_OFFSET", "cmdline:mem", "dtb:/memory@60000000:reg"]


def test_a_circle_ends():
    facts = Facts()
    facts.add("a", 1, "pa", "", ("b",))
    facts.add("b", 1, "pa", "", ("a",))
    assert "a" in list(facts.derivation("a").lines())[-1]
    assert facts.roots() == []


def test_lines_show_addresses_in_hex_and_counts_in_decimal(facts):
    facts.add("pages", 16, "pages", "limit >> 12", ("limit",), "f()")
    lines = list(facts.derivation("pages").lines())
    assert lines[0] == "pages = 16 pages  (limit >> 12; f())"
    assert lines[1].startswith("  limit = 0x90000000 pa")
    assert "    CONFIG_PAGE_OFFSET" in lines


def test_json_has_every_version_in_order(facts):
    facts.add("limit", 1, "pa", "", ())
    values = json.loads(json.dumps(facts.to_json()))
    assert [v["serial"] for v in values] == [1, 2, 3, 4]
    assert values[2]["inputs"] == ["PHYS_OFFSET", "vmalloc_min", "CONFIG_PAGE_OFFSET"]
