"""Where a replay first differs: recordings of real kernels with one answer altered, and what is told of that moment."""

import json
import random
import shutil
import struct
from pathlib import Path

import pytest
from click.testing import CliRunner

from bootsim.cli.group import cli
from bootsim.lab import kinds
from bootsim.lab.divergence import around
from bootsim.lab.pages import PageTraffic
from bootsim.lab.recording import Recording
from bootsim.linux.mm.page_alloc import MIGRATE_MOVABLE, check_buddy_invariants, zones_snapshot

GOLDEN = Path(__file__).parents[1] / "golden"


@pytest.fixture
def altered(recorded, tmp_path):
    """A copy of a recording in which word `word` of the n-th record of a kind is another; and that record's number."""

    def alter(name, kind, word, n, by):
        shutil.copytree(recorded(name), tmp_path / name)
        data = bytearray(Recording(recorded(name)).records.tobytes())
        at = [i for i in range(len(data) // 16) if struct.unpack_from("<I", data, i * 16)[0] == kind][n]
        (value,) = struct.unpack_from("<I", data, at * 16 + word * 4)
        struct.pack_into("<I", data, at * 16 + word * 4, value + by)
        (tmp_path / name / "mmtrace.bin").write_bytes(data)
        return tmp_path / name, at

    return alter


@pytest.fixture(scope="session")
def first_of(replay_of):
    def first(folder):
        replay = replay_of(folder)
        replay.run()
        return around(Recording(folder), replay.k.build, *replay.score()[2])

    return first


@pytest.mark.golden
def test_a_page_is_found_where_both_answers_lay(altered, first_of):
    folder, record = altered("kc-slub-256", 1, 3, 8000, 1)
    found = first_of(folder)
    assert found["record"] == found["state_at"] == record
    assert "page request of order 0" in found["asked"]
    recorded, here = found["pages"]
    assert recorded["pfn"] == here["pfn"] + 1
    # The kernel takes the first page of its per-cpu list; the altered answer is the one behind it.
    zone = next(zone for zone in found["zones"] if zone["name"] == here["zone"])
    on_list = next(one for one in zone["pcp"][0]["lists"] if here["pfn"] in one["first"])
    assert on_list["first"][:2] == [here["pfn"], recorded["pfn"]]
    assert here["where"].startswith(f"free: 1 of {on_list['count']} on {zone['name']}'s list {on_list['migratetype']}")
    block = here["pageblock"]
    assert block["first_pfn"] <= here["pfn"] < block["first_pfn"] + block["pages"]
    assert block["migratetype"] == on_list["migratetype"]
    free = sum(one["count"] << one["order"] for one in zone["free_area"])
    assert zone["nr_free_pages"] == pytest.approx(free, abs=200)  # what the processor has not added yet


@pytest.mark.golden
@pytest.mark.parametrize("name", ["kc-slub-256", "kl-slab-1024"])
def test_an_object_comes_with_its_cache(altered, first_of, name):
    folder, record = altered(name, 21, 2, 5000, 0x40)
    found = first_of(folder)
    assert found["record"] == record
    cache, (recorded, here) = found["cache"], found["objects"]
    assert f"cache {cache['name']}" in found["asked"]
    assert recorded["va"] == here["va"] + 0x40
    state = cache["cpu"][0]
    if name == "kc-slub-256":
        assert state["freelist"][0] == here["va"]  # SLUB gives the first of the free list
        assert "free" in here["where"]
    else:
        assert state["avail"] > 0  # SLAB the last of its array
        assert len(state["entries"]) <= 9


@pytest.mark.golden
def test_slob_has_lists_of_pages(altered, first_of):
    folder, record = altered("kl-slobu-256", 21, 2, 5000, 2)
    found = first_of(folder)
    assert found["record"] == record
    assert set(found["slob"]) == {"small", "medium", "large"}
    assert all(page["units"] > 0 for pages in found["slob"].values() for page in pages)
    assert any(found["objects"][1]["where"].startswith(f"in SLOB page {page['pfn']:#x}: in a free block")
               for pages in found["slob"].values() for page in pages) or found["objects"][1]["where"] == "no object"


@pytest.mark.golden
def test_a_step_of_compaction_has_the_state_before_it_began(altered, first_of):
    folder, record = altered("kc-slub-256", 19, 2, 100, 1)
    found = first_of(folder)
    assert found["record"] == record > found["state_at"]
    records = Recording(folder).records
    assert records[found["state_at"], 0] == 17
    assert all("free: block" in page["where"] for page in found["pages"])


@pytest.mark.golden
def test_an_address_has_its_neighbours(altered, first_of):
    folder, record = altered("kl-slab-1024", 37, 3, 50, 0x100000)
    found = first_of(folder)
    assert found["record"] == record
    for one in found["addresses"]:
        assert one["near"][0]["start"] <= one["va"] <= one["near"][-1]["end"]
        assert {area["state"] for area in one["near"]} <= {"busy", "free", "purge"}


@pytest.mark.golden
def test_another_allocator_than_the_builds_is_told(recorded):
    words = ["replay", str(recorded("kc-slub-256")), "--config", str(GOLDEN / "builds/k3slab.yaml"), "--at", "0"]
    done = CliRunner().invoke(cli, [*words, "--slab", "slub"])
    assert "bootsim: --slab slub: CONFIG_SLUB in place of CONFIG_SLAB" in done.stderr
    assert "bootsim: --slab slub: the image stays that of" in done.stderr


@pytest.mark.golden
def test_the_command_tells_it_in_text_and_in_json(altered):
    folder, record = altered("kc-slub-256", 1, 3, 8000, 1)
    words = ["replay", str(folder), "--config", str(GOLDEN / "builds/k3slub.yaml")]
    text = CliRunner().invoke(cli, words)
    assert text.exit_code == 1
    assert f"first difference: record {record}: " in text.stdout
    assert "recorded: page 0x" in text.stdout
    assert "zone Normal: " in text.stdout
    found = json.loads(CliRunner().invoke(cli, [*words, "--json", "--page", "0x61930"]).stdout)
    assert found["first_difference"]["record"] == record
    assert found["agree"] < found["answers"]
    assert any("handed out" in line for line in found["page"])
    good = json.loads(CliRunner().invoke(cli, [*words, "--at", str(record), "--json"]).stdout)
    assert good["first_difference"] is None
    assert good["agree"] == good["answers"]


@pytest.mark.golden
@pytest.mark.parametrize("seed", range(2))
def test_wrong_pages_do_not_break_the_lists(recorded, replay_of, tmp_path, seed):
    """Pages that the recording frees and takes are others': the replay goes on to the end, and its lists hold."""
    rng = random.Random(seed)
    folder = tmp_path / "kc-slub-256"
    shutil.copytree(recorded(folder.name), folder)
    records = list(struct.iter_unpack("<4I", Recording(folder).records.tobytes()))
    for kind, word in ((1, 3), (2, 1), (3, 1)) * 8:
        at = [i for i, record in enumerate(records) if record[0] == kind]
        one, other = rng.choice(at), rng.choice(at)
        record = list(records[one])
        record[word] = records[other][word]
        records[one] = tuple(record)
    (folder / "mmtrace.bin").write_bytes(b"".join(struct.pack("<4I", *record) for record in records))
    replay = replay_of(folder)
    replay.run()
    assert replay.at == len(records)
    assert replay.score()[2] is not None
    assert check_buddy_invariants(replay.k.mm.pgdat) == []
    assert replay.objects.allocator.check() == []


@pytest.mark.golden
@pytest.mark.parametrize("nth", [100, 5000])
def test_a_page_in_compactions_hands_is_not_freed(altered, replay_of, nth):
    """A record of a page that moved is no longer one: what follows it frees the page, which here has not moved."""
    folder, record = altered("kc-slub-256", 19, 0, nth, 200)
    replay = replay_of(folder)
    replay.run()
    assert replay.at == len(replay.records)
    (strayed,) = replay.traffic.strayed
    assert record < strayed < record + 100
    assert check_buddy_invariants(replay.k.mm.pgdat) == []


@pytest.mark.parametrize("tail", [0, 1])
def test_a_list_is_turned_to_a_block_of_its_own_alone(lab, tail):
    """Record 58 with each free block of the machine: the movable list of its order alone begins, or ends, with it."""
    k = lab.k
    for mask in (lab.GFP_KERNEL, lab.GFP_HIGHUSER_MOVABLE) * 2:
        for page in [lab.alloc_page(mask) for _ in range(300)][::2]:
            lab.__free_page(page)
    turned = left = 0
    for z, zone in enumerate(zones_snapshot(k)):
        for order, area in enumerate(zone["free_area"]):
            for mt, blocks in enumerate(area["lists"]):
                for pfn in blocks[:20]:
                    was = zones_snapshot(k)
                    events = memoryview(bytearray(struct.pack("=4I", kinds.TURN_LIST, pfn, tail, order)))
                    events = events.cast("I", shape=[1, 4])
                    PageTraffic(k.mm.pgdat).run(events, memoryview(bytearray(16)).cast("I", shape=[1, 4]), 0, 1)
                    mine = was[z]["free_area"][order]["lists"][mt]
                    if mt == MIGRATE_MOVABLE:
                        at = mine.index(pfn) + tail
                        was[z]["free_area"][order]["lists"][mt] = mine[at:] + mine[:at]
                        turned += len(mine) > 1
                    else:
                        left += 1
                    assert zones_snapshot(k) == was
    assert turned > 5
    assert left > 20
