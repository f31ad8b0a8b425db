"""Which parts of RAM are claimed twice: banks, regions of /reserved-memory, the kernel image, the tree, the initrd."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from bootsim.escape import escaped

if TYPE_CHECKING:
    from bootsim.linux import Kernel


class Claim(NamedTuple):
    """Something that lies at [start_pa, end_pa). `path` is its node, None for what the bootloader placed."""

    name: str
    start_pa: int
    end_pa: int
    path: str | None = None


class Overlap(NamedTuple):
    """Two claims to [start_pa, end_pa)."""

    first: Claim
    second: Claim
    start_pa: int
    end_pa: int

    def text(self) -> str:
        """The overlap as a line."""
        return f"{self.first.name} and {self.second.name} overlap in [{self.start_pa:#x}, {self.end_pa:#x})"


def overlaps(k: Kernel) -> list[Overlap]:
    """Return every pair of banks, and every pair of users of RAM, that share addresses; by address."""
    found = [*_pairs(_banks(k)), *_pairs(_users(k))]
    return sorted(found, key=lambda overlap: (overlap.start_pa, overlap.end_pa))


def _banks(k: Kernel) -> list[Claim]:
    return [Claim(f"bank {i} of RAM", base, base + size) for i, (base, size) in enumerate(k.machine.banks)]


def _users(k: Kernel) -> list[Claim]:
    machine, symbols = k.machine, k.build.symbols
    kernel_bytes = symbols.end - symbols.text
    users = [Claim("the kernel image", machine.kernel_pa, machine.kernel_pa + kernel_bytes)]
    size = k.facts.get("dtb.size")
    if size is not None:
        users.append(Claim("the device tree blob", machine.dtb_pa, machine.dtb_pa + int(size.value)))
    if machine.initrd_pa is not None:
        users.append(Claim("the initrd", machine.initrd_pa, machine.initrd_pa + machine.initrd_bytes))
    users += [Claim(escaped(r.node.path), r.base, r.base + r.size, r.node.path) for r in k.of.reserved_mem if r.size]
    return users


def _pairs(claims: list[Claim]) -> list[Overlap]:
    claims = sorted(claims, key=lambda claim: (claim.start_pa, claim.end_pa))
    found = []
    for i, first in enumerate(claims):
        for second in claims[i + 1 :]:
            if second.start_pa >= first.end_pa:
                break
            found.append(Overlap(first, second, second.start_pa, min(first.end_pa, second.end_pa)))
    return found
