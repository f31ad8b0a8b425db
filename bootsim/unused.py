"""What the kernel passed over: words of the command line and parts of the tree that changed nothing."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from bootsim.linux.drivers.of.fdt import c_string, of_fdt_device_is_available, of_fdt_is_compatible
from bootsim.linux.kernel.printk import KERN_WARNING, step
from bootsim.places import place_of

if TYPE_CHECKING:
    from bootsim.linux import Kernel
    from bootsim.linux.lib.fdt import FlatNode

_USES_OF_RESERVED = frozenset((b"shared-dma-pool", b"ramoops", b"removed-dma-pool"))  # compatible, without case
# properties of /chosen with which a bootloader or another architecture's kernel limits memory
_CHOSEN_UNREAD = ("linux,usable-memory-range", "linux,elfcorehdr", "linux,initrd-size")


def tell_unused(k: Kernel) -> None:
    """Log what the boot passed over: one line for all words of the command line, one for each place in the tree."""
    if k.unused:
        step(k, "unused: cmdline: {words}", func="unknown_bootoption", level=KERN_WARNING, words=", ".join(k.unused))
    for path, prop, why in unused_parts(k) if hasattr(k.of, "fdt") else ():
        step(k, "unused: {place}: {why}", func="of_scan_flat_dt", level=KERN_WARNING, place=place_of(k, path, prop),
             why=why)


def unused_parts(k: Kernel) -> Iterator[tuple[str, str | None, str]]:
    """Nodes and properties about memory that the kernel did not read: path, property or None, and why."""
    area: FlatNode | None = None  # the /reserved-memory that the kernel reads, while its nodes come
    seen = False
    for node in k.of.fdt.nodes:
        depth = node.depth
        if depth <= 1:
            area = node if node.path == "/reserved-memory" and not seen else None
            seen = seen or area is not None
        if area is not None and depth > 1:
            yield from _in_reserved_memory(node)
        elif "memory" in node.name or "device_type" in node.first or _uses_of_reserved(node):  # of few nodes
            yield from _elsewhere(node)
        if node.path in ("/chosen", "/chosen@0"):
            yield from _in_chosen(k, node)


def _uses_of_reserved(node: FlatNode) -> bool:
    return not _USES_OF_RESERVED.isdisjoint(node.first.get("compatible", b"").lower().split(b"\0"))


def _elsewhere(node: FlatNode) -> Iterator[tuple[str, str | None, str]]:
    stem, type_ = node.name.partition("@")[0], c_string(node.first.get("device_type", b""))
    if type_ == "memory":
        if "reg" in node.first and "linux,usable-memory" in node.first:
            yield node.path, "reg", "linux,usable-memory goes before it"
        if not of_fdt_device_is_available(node):
            yield node.path, "status", "memory that is not available is added all the same"
    elif stem == "memory" and node.depth == 1 and "reg" in node.first:
        yield node.path, "reg", 'not added: the node has no device_type = "memory"'
    if stem == "reserved-memory" and node.path != "/reserved-memory":
        yield node.path, None, "nothing is reserved: only a node called /reserved-memory is read"
    elif node.depth and "/reserved-memory" not in node.path and "memory-region" not in node.first and \
            _uses_of_reserved(node):
        yield node.path, None, "nothing is reserved for it: it does not lie in /reserved-memory"


def _in_reserved_memory(node: FlatNode) -> Iterator[tuple[str, str | None, str]]:
    first = node.first
    if not of_fdt_device_is_available(node):
        yield node.path, "status", "nothing is reserved"
        return
    if "reg" not in first and "size" not in first:
        yield node.path, None, "nothing is reserved: neither reg nor size"
        return
    if "reg" in first:
        for prop in ("size", "alignment", "alloc-ranges"):
            if prop in first:
                yield node.path, prop, "reg goes before it"
    pool = of_fdt_is_compatible(node, "shared-dma-pool")
    for prop in ("reusable", "linux,cma-default", "linux,dma-default"):
        if prop in first and not pool:
            yield node.path, prop, "means something in a shared-dma-pool alone"
    if pool and "linux,cma-default" in first and "reusable" not in first:
        yield node.path, "linux,cma-default", "without reusable it is no CMA area"


def _in_chosen(k: Kernel, node: FlatNode) -> Iterator[tuple[str, str | None, str]]:
    config, first = k.build.config, node.first
    for prop in _CHOSEN_UNREAD:
        if prop in first:
            yield node.path, prop, "a 5.10 kernel for ARM does not read it"
    if not config.EFI:
        for prop in first:
            if prop.startswith("linux,uefi-"):
                yield node.path, prop, "CONFIG_EFI is not set"
    if config.CMDLINE_FORCE and first.get("bootargs", b"\0") != b"\0":
        yield node.path, "bootargs", "CONFIG_CMDLINE_FORCE goes before it"
    ends = [prop for prop in ("linux,initrd-start", "linux,initrd-end") if prop in first]
    if ends and not config.BLK_DEV_INITRD:
        yield node.path, ends[0], "CONFIG_BLK_DEV_INITRD is not set"
    elif len(ends) == 1:
        yield node.path, ends[0], "the other end of the initrd is missing"
