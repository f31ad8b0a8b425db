"""Digests: equal for equal boots, other for others, without timestamps."""

from bootsim.state.digest import parts, whole

STAGE = ("mem_init", {"zones": [1, 2], "totalram_pages": 3}, (b"l1", b"l2"))


def test_timestamps_do_not_count_but_words_do():
    plain = parts("Booting Linux\n", [STAGE])
    assert parts("[    0.000000] Booting Linux\n", [STAGE]) == plain
    assert parts("[    1.500000] Booting Linux\n", [STAGE]) == plain
    assert parts("Booting linux\n", [STAGE]) != plain


def test_every_part_counts():
    digest = whole(parts("x\n", [STAGE]))
    assert len(digest) == 64
    others = [("mem_init", {"zones": [2, 1], "totalram_pages": 3}, (b"l1", b"l2")),
              ("mem_init", {"zones": [1, 2], "totalram_pages": 3}, (b"l1", b"l3")),
              ("mem_init", {"zones": [1, 2], "totalram_pages": 3}, None),
              ("setup_arch", *STAGE[1:])]  # fmt: skip
    assert len({digest, *(whole(parts("x\n", [other])) for other in others)}) == 5


def test_the_order_of_keys_does_not_count():
    swapped = ("mem_init", {"totalram_pages": 3, "zones": [1, 2]}, (b"l1", b"l2"))
    assert parts("x\n", [swapped]) == parts("x\n", [STAGE])
