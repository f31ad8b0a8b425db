"""The live device tree (drivers/of/base.c)."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

from bootsim.errors import KernelPanic
from bootsim.linux.kernel.printk import step
from bootsim.places import place_of
from bootsim.shared import Shared

if TYPE_CHECKING:
    from bootsim.linux import Kernel


class DeviceNode(Shared):
    """struct device_node: `name` without, `full_name` with the unit address; the first property of each name, and all.

    Nothing changes after the tree is unflattened.
    """

    __slots__ = ("children", "full_name", "name", "path", "properties", "props")

    def __init__(self, name: str, full_name: str, path: str, properties: dict[str, bytes],
                 props: list[tuple[str, bytes]]) -> None:
        self.name = name
        self.full_name = full_name
        self.path = path
        self.properties = properties
        self.props = props
        self.children: list[DeviceNode] = []

    def __repr__(self) -> str:
        return f"<DeviceNode {self.path}>"

    def walk(self) -> Iterator[DeviceNode]:
        """Yield the node and all below it, in tree order."""
        todo = [self]
        while todo:
            node = todo.pop()
            yield node
            todo += reversed(node.children)


def of_find_node_by_path(k: Kernel, path: str, followed: tuple[str, ...] = ()) -> DeviceNode | None:
    """The node at a full path, or below an alias (`serial0/...`); an option after ":" is ignored.

    `followed` are the aliases that led here. Raises KernelPanic when one leads to itself.
    Source: drivers/of/base.c of_find_node_opts_by_path()
    """
    root = k.of.of_root
    path = path.partition(":")[0]
    if path == "/":
        return root
    node: DeviceNode | None = root
    if not path.startswith("/"):
        alias, _, rest = path.partition("/")
        if alias in followed:
            raise KernelPanic(None, f"{place_of(k, '/aliases', alias)}: the alias leads to itself "
                              f"({' -> '.join((*followed, alias))}): the kernel follows it until its stack is full")
        aliases = next((c for c in root.children if c.full_name == "aliases"), None)
        target = aliases.properties.get(alias) if aliases else None
        if target is None:
            return None
        node = of_find_node_by_path(k, target.split(b"\0", 1)[0].decode("latin-1"), (*followed, alias))
        path = "/" + rest if rest else ""
    for part in path.split("/"):
        if node is None:
            return None
        if part:
            node = next((c for c in node.children if c.full_name == part), None)
    return node


def of_get_parent(k: Kernel, node: DeviceNode) -> DeviceNode | None:
    """The node above, None of the root.

    Source: drivers/of/base.c of_get_parent()
    """
    return None if node.path == "/" else of_find_node_by_path(k, node.path.rpartition("/")[0] or "/")


def of_device_is_available(node: DeviceNode) -> bool:
    """Whether status is absent, "okay" or "ok".

    Source: drivers/of/base.c of_device_is_available()
    """
    status = node.properties.get("status")
    return status is None or status.split(b"\0", 1)[0] in (b"okay", b"ok")


def of_get_cpu_nodes(k: Kernel) -> list[DeviceNode]:
    """The cpu nodes below /cpus, in order: named "cpu" or of device_type "cpu".

    Source: drivers/of/base.c of_get_next_cpu_node()
    """
    cpus = of_find_node_by_path(k, "/cpus")
    if cpus is None:
        return []
    return [n for n in cpus.children
            if n.name == "cpu" or n.properties.get("device_type", b"").split(b"\0")[0] == b"cpu"]


def of_device_is_compatible(node: DeviceNode, compat: str) -> bool:
    """Whether `compat` is in the node's compatible list (case does not matter).

    Source: drivers/of/base.c of_device_is_compatible()
    """
    value = node.properties.get("compatible")
    return value is not None and compat.lower().encode("latin-1") in value.lower().split(b"\0")


def of_find_compatible_node(k: Kernel, compat: str) -> DeviceNode | None:
    """The first node in tree order that is compatible with `compat`, available or not.

    Source: drivers/of/base.c of_find_compatible_node()
    """
    return next((n for n in k.of.of_root.walk() if of_device_is_compatible(n, compat)), None)


def of_find_matching_node_and_match(k: Kernel, matches: tuple[str, ...]) -> tuple[DeviceNode | None, str]:
    """The first node in tree order that has one of `matches` as compatible, and that which stands first in its list.

    Source: drivers/of/base.c of_find_matching_node_and_match(), __of_match_node(), __of_device_is_compatible()
    """
    wanted = {match.lower().encode("latin-1"): match for match in reversed(matches)}
    for node in k.of.of_root.walk():
        for name in node.properties.get("compatible", b"").split(b"\0"):
            match = wanted.get(name.lower())
            if match is not None:
                return node, match
    return None, ""


def _kstrtoint(text: str) -> int | None:
    # kstrtoint(text, 10): digits only, and small enough for an int
    return int(text) if text.isdigit() and int(text) <= 0x7FFFFFFF else None


def of_alias_scan(k: Kernel, dt_alloc: Callable[[Kernel, int, int, str], int]) -> None:
    """Allocate one struct alias_prop, with its stem, for every alias that ends in a number and leads to a node.

    Source: drivers/of/base.c of_alias_scan()
    """
    aliases = of_find_node_by_path(k, "/aliases")
    if aliases is None:
        return
    for name, _ in aliases.props:
        if name in ("name", "phandle", "linux,phandle"):
            continue
        target = aliases.properties[name].split(b"\0", 1)[0].decode("latin-1")
        if of_find_node_by_path(k, target) is None:
            continue
        stem = name.rstrip("0123456789")
        if _kstrtoint(name[len(stem):]) is None:
            continue
        pa = dt_alloc(k, k.build.sizeof.alias_prop + len(stem) + 1, 4, f"alias {name}")
        step(k, "alias {name} -> {target}, at {pa:#010x}", name=name, target=target, pa=pa)
