"""The MMU against a slow reference: the manuals' figures of descriptors and tables of rights, written down as they are.

ARMv7: ARM DDI 0406C, B3.5 (figures B3-4 and B3-5), tables B3-8, B3-10, B3-23; before ARMv6: DDI 0100I, B4.
"""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bootsim.hw.memory import PhysicalMemory
from bootsim.hw.mmu import Cp15, translate

# a letter for each bit, 31 first: b base, e f base 35:32 and 39:36, t TEX, c C, k B, a AP[1:0], 2 AP[2], x XN, p PXN,
# n nG, s S, d domain; 1 and 0 as they are, - what does not matter
FIRST = {
    "table": "bbbbbbbbbbbbbbbbbbbbbb-dddd--p01",
    "section": "bbbbbbbbbbbb-0ns2tttaa-ddddxck1p",
    "supersection": "bbbbbbbbeeee-1ns2tttaa-ffffxck1p",
}
SECOND = {
    "large": "bbbbbbbbbbbbbbbbxtttns2---aack01",
    "small": "bbbbbbbbbbbbbbbbbbbbns2tttaack1x",
}
# before ARMv6 AP is four fields, of the subpages from the last to the first: w y v u
OLD_FIRST = {"table": "bbbbbbbbbbbbbbbbbbbbbb-dddd---01", "section": "bbbbbbbbbbbb-----tttaa-dddd-ck10"}
# XScale of the third generation: bit 18
XSC3_FIRST = {"table": OLD_FIRST["table"], "section": "bbbbbbbbbbbb-0---tttaa-dddd-ck10",
              "supersection": "bbbbbbbbeeee-1---tttaa-ffff-ck10"}  # fmt: skip
OLD_SECOND = {
    "large": "bbbbbbbbbbbbbbbb-tttwwyyvvuuck01",
    "small": "bbbbbbbbbbbbbbbbbbbbwwyyvvuuck10",
    "extended": "bbbbbbbbbbbbbbbbbbbb---tttaack11",
}

# AP[2:0]: privileged, user. 0b100 is reserved: nobody
RIGHTS = {"000": "- -", "001": "rw -", "010": "rw r", "011": "rw rw", "100": "- -", "101": "r -", "110": "r r",
          "111": "r r"}  # fmt: skip
# with SCTLR.AFE, by AP[2:1]
SIMPLE_RIGHTS = {"00": "rw -", "01": "rw rw", "10": "r -", "11": "r r"}
# before ARMv6: AP, and for AP 0 SCTLR.S, SCTLR.R
OLD_RIGHTS = {"01": "rw -", "10": "rw r", "11": "rw rw", "0000": "- -", "0010": "r -", "0001": "r r"}

# FS[4:0], for sections and for pages
STATUS = {"translation": (0b00101, 0b00111), "access flag": (0b00011, 0b00110), "domain": (0b01001, 0b01011),
          "permission": (0b01101, 0b01111)}  # fmt: skip

TTBR0, TTBR1 = 0x00100000, 0x00200000


def bits(word, high, low):
    return f"{word:032b}"[31 - high : 32 - low]


def fields(word, figure):
    """What a word says by a figure: {letter: its bits}; None where it is another kind's."""
    found = {}
    for bit, letter in zip(f"{word:032b}", figure, strict=True):
        if letter in "01":
            if bit != letter:
                return None
        else:
            found[letter] = found.get(letter, "") + bit
    return found


def number(text):
    return int(text, 2)


def kind_of(word, figures, pxn):
    for kind, figure in figures.items():
        found = fields(word, figure)
        if found is not None:
            return None if found.get("p") == "1" and kind != "table" and not pxn else (kind, found)
    return None


class Outcome(Exception):
    """A fault: its kind, and whether it is a page's."""


def locate(cp15, va):
    """Where the first-level descriptor is, by TTBCR."""
    n = number(bits(cp15.ttbcr, 2, 0))
    if n and number(bits(va, 31, 32 - n)):
        if bits(cp15.ttbcr, 5, 5) == "1":
            raise Outcome("translation", False)
        return cp15.ttbr1 // 2**14 * 2**14 + number(bits(va, 31, 20)) * 4
    if bits(cp15.ttbcr, 4, 4) == "1":
        raise Outcome("translation", False)
    return cp15.ttbr0 // 2 ** (14 - n) * 2 ** (14 - n) + number(bits(va, 31 - n, 20)) * 4


def walk(ram, cp15, va):
    """(kind, fields of its descriptor, fields of the first level's, pa), or Outcome."""
    old, pxn = cp15.id_mmfr0 == 0, cp15.id_mmfr0 >= 4
    figures = XSC3_FIRST if cp15.supersections else OLD_FIRST if old else FIRST
    first = kind_of(ram.read32(locate(cp15, va)), figures, pxn)
    if first is None:
        raise Outcome("translation", False)
    kind, top = first
    if kind == "section":
        return kind, top, top, number(top["b"] + bits(va, 19, 0))
    if kind == "supersection":
        return kind, top, top, number(top["f"] + top["e"] + top["b"] + bits(va, 23, 0))
    second = kind_of(ram.read32(number(top["b"] + bits(va, 19, 12) + "00")), OLD_SECOND if old else SECOND, pxn)
    if second is None:
        raise Outcome("translation", True)
    kind, page = second
    if kind == "large":
        return kind, page, top, number(page["b"] + bits(va, 15, 0))
    return kind, page, top, number(page["b"] + bits(va, 11, 0))


def rights(cp15, va, kind, found):
    if cp15.id_mmfr0:
        if bits(cp15.sctlr, 29, 29) == "1":
            return SIMPLE_RIGHTS[found["2"] + found["a"][0]]
        return RIGHTS[found["2"] + found["a"]]
    subpage = "uvyw"[number(bits(va, 15, 14) if kind == "large" else bits(va, 11, 10))]
    ap = found["a"] if "a" in found else found[subpage]
    return OLD_RIGHTS[ap if ap != "00" else "00" + bits(cp15.sctlr, 8, 8) + bits(cp15.sctlr, 9, 9)]


def reference(ram, cp15, va, access, privileged):
    """(pa, rights, domain, nG, XN), or Outcome: B3.7's order of checks."""
    kind, found, top, pa = walk(ram, cp15, va)
    paged = kind in ("large", "small", "extended")
    domain = 0 if kind == "supersection" else number(top["d"])
    if bits(cp15.sctlr, 29, 29) == "1" and found["a"][1] == "0":
        raise Outcome("access flag", paged)
    allowed = rights(cp15, va, kind, found)
    answer = pa, allowed, domain, found.get("n", "0") == "1", found.get("x", "0") == "1"
    match bits(cp15.dacr, 2 * domain + 1, 2 * domain):
        case "00" | "10":
            raise Outcome("domain", paged)
        case "11":
            return answer
    mine = allowed.split()[0 if privileged else 1]
    pxn = cp15.id_mmfr0 >= 4 and top["p"] == "1" and privileged
    good = "w" in mine if access == "write" else "r" in mine
    if access == "execute" and (pxn or answer[4]):
        good = False
    if not good:
        raise Outcome("permission", paged)
    return answer


WORD = st.integers(0, 2**32 - 1)
M = 1


def check(cp15, va, first, second, access, privileged):
    ram = PhysicalMemory()
    try:
        at = locate(cp15, va)
        # the tables lie apart: a second level never on the first's word
        ram.write32(at, first)
        table = first // 1024 * 1024 + number(bits(va, 19, 12)) * 4
        if table != at:
            ram.write32(table, second)
        expected = reference(ram, cp15, va, access, privileged)
    except Outcome as fault:
        kind, paged = fault.args
        found = translate(ram, cp15, va, access, privileged)
        assert not found
        assert (found.kind, found.status) == (kind, STATUS[kind][paged])
        return
    found = translate(ram, cp15, va, access, privileged)
    assert found
    shown = " ".join(right or "-" for right in found.permissions[:2])
    assert (found.pa, shown, found.domain, not found.is_global, found.permissions.xn) == expected


ACCESS = st.sampled_from(("read", "write", "execute"))


@pytest.mark.property
@given(va=WORD, first=WORD, second=WORD, kind=st.sampled_from((0, 1, 1, 2, 3)), n=st.integers(0, 7),
       pd=st.integers(0, 9), afe=st.booleans(), dacr=WORD, mmfr0=st.sampled_from((3, 4)), access=ACCESS,
       privileged=st.booleans())  # fmt: skip
@settings(max_examples=600)
def test_any_words_mean_what_the_figures_say(va, first, second, kind, n, pd, afe, dacr, mmfr0, access, privileged):
    ttbcr = n | (pd if pd < 4 else 0) << 4
    cp15 = Cp15(sctlr=M | afe << 29, ttbr0=TTBR0 | 0x59, ttbr1=TTBR1 | 0x59, ttbcr=ttbcr, dacr=dacr, id_mmfr0=mmfr0)
    if n:
        cp15.ttbr0 = TTBR0
    check(cp15, va, first & ~3 | kind, second, access, privileged)


@pytest.mark.property
@given(va=WORD, first=WORD, second=WORD, kind=st.sampled_from((0, 1, 1, 2)), sr=st.sampled_from((0, 1, 2)), dacr=WORD,
       xsc3=st.booleans(), access=ACCESS, privileged=st.booleans())  # fmt: skip
@settings(max_examples=400)
def test_before_armv6_too(va, first, second, kind, sr, dacr, xsc3, access, privileged):
    cp15 = Cp15(sctlr=M | sr << 8, ttbr0=TTBR0, dacr=dacr, id_mmfr0=0, supersections=xsc3)
    check(cp15, va, first & ~3 | kind, second, access, privileged)
