"""The log as one event a line."""

import json

from bootsim.linux.kernel.printk import Record
from bootsim.views.records import json_lines, logfmt_lines

RECORDS = [
    Record(0, 6, "setup_arch", "memblock_reserve", "memblock_reserve: [0x1-0x2]", True, {"base": 1, "end": 2}),
    Record(1, 4, "mem_init", "step", "bootsim: two\nlines", False, {"level": 9, "name": "vmalloc area"}),
]


def test_json_is_one_object_a_line_with_integers():
    lines = list(json_lines(RECORDS))
    assert json.loads(lines[0]) == {
        "seq": 0, "level": "info", "stage": "setup_arch", "function": "memblock_reserve", "kernel": True,
        "text": "memblock_reserve: [0x1-0x2]", "fields": {"base": 1, "end": 2},
    }  # fmt: skip
    assert list(json.loads(lines[0])) == ["seq", "level", "stage", "function", "kernel", "text", "fields"]
    assert json.loads(lines[1])["text"] == "bootsim: two\nlines"
    assert all("\n" not in line for line in lines)


def test_logfmt_puts_numbers_beside_the_text():
    lines = list(logfmt_lines(RECORDS))
    assert lines[0] == (
        "seq=0 level=info stage=setup_arch function=memblock_reserve kernel=true "
        'text="memblock_reserve: [0x1-0x2]" base=1 end=2'
    )
    assert "level=warn" in lines[1]
    assert 'level_=9 name="vmalloc area"' in lines[1]
    assert "\n" not in lines[1]


def test_steps_can_be_left_out():
    assert len(list(json_lines(RECORDS, steps=False))) == 1
    assert len(list(logfmt_lines(RECORDS, steps=False))) == 1
