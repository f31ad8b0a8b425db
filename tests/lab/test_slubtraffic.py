"""Recorded objects of SLUB, answered by the replay: with all its checks (slub_debug=FZPU); without, while requests for
large blocks compact memory; on two processors."""

import json

import pytest

RUNNING = ("tid", "touched")  # what only a running clock decides


@pytest.fixture(scope="module", params=["kl-slubdebug-64", "kl-compact-128", "kl-smp-128"])
def recording(recorded, request):
    return recorded(request.param)


def without_clocks(found):
    if isinstance(found, dict):
        return {key: without_clocks(value) for key, value in found.items() if key not in RUNNING}
    return [without_clocks(value) for value in found] if isinstance(found, list) else found


@pytest.mark.golden
def test_every_answer_is_the_real_kernels(replayed):
    right, asked, first = replayed.score()
    assert (right, first) == (asked, None)
    assert asked > 5000
    assert replayed.objects.first_wrong is None
    assert replayed.traffic.strayed == []
    assert any(replayed.records[i, 0] == 22 and replayed.records[i, 3] > 1 for i in range(replayed.at))


@pytest.mark.golden
def test_every_cache_ends_as_the_real_one(replayed, recording):
    caches = {cache["name"]: cache for cache in json.loads((recording / "objects.json").read_text())["state"]}
    assert {cache["name"]: without_clocks(cache) for cache in replayed.caches()["state"]} == without_clocks(caches)


@pytest.mark.golden
def test_the_free_lists_end_as_the_real_ones(replayed, recording):
    zones = json.loads((recording / "stages.json").read_text())["end"]["zones"]
    found = replayed.state()["zones"]
    for zone, here in zip(zones, found, strict=True):
        assert (here["nr_free_pages"], here["free_area"]) == (zone["nr_free_pages"], zone["free_area"])
        for cpu, found_there in zip(zone["pcp"], here["pcp"], strict=False):
            assert (found_there["count"], found_there["lists"]) == (cpu["count"], cpu["lists"])
