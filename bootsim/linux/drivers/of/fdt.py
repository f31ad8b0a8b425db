"""The kernel's first look at the device tree, still flat (drivers/of/fdt.c).

Every function here reads the blob that the kernel found in RAM; the source of the tree is out of sight.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

from bootsim.causes import cause, holders, unheeded
from bootsim.errors import KernelPanic
from bootsim.linux.drivers.of.base import DeviceNode, of_alias_scan
from bootsim.linux.include.linux.err import Err
from bootsim.linux.include.linux.errno import EBUSY, EINVAL, ENODEV, ENOENT
from bootsim.linux.kernel.printk import KERN_ERR, KERN_INFO, KERN_NOTICE, KERN_WARNING, printk, step
from bootsim.linux.lib.fdt import (
    FDT_V17_SIZE,
    FlatNode,
    cells,
    fdt_check_header,
    fdt_nop_property,
    fdt_path_offset,
    fdt_setprop,
    parse,
    read_number,
)
from bootsim.linux.mm.memblock import (
    memblock_add,
    memblock_alloc,
    memblock_is_region_reserved,
    memblock_mark_hotplug,
    memblock_mark_nomap,
    memblock_overlaps_region,
    memblock_reserve,
)
from bootsim.owners import Purpose
from bootsim.page import PAGE_SIZE
from bootsim.places import place_of

if TYPE_CHECKING:
    from bootsim.linux import Kernel

COMMAND_LINE_SIZE = 1024
POOL_READY_BITS = 256
_MAX_MEMBLOCK_ADDR = 0xFFFFFFFF
_U64 = 0xFFFFFFFFFFFFFFFF


def c_string(value: bytes) -> str:
    """The text of a property up to its first NUL.

    Source: drivers/of/fdt.c, wherever a property is taken for a C string
    """
    return value.split(b"\0", 1)[0].decode("latin-1")


def of_get_flat_dt_prop(node: FlatNode, name: str) -> bytes | None:
    """The value of the first property called `name`, or None.

    Source: drivers/of/fdt.c of_get_flat_dt_prop()
    """
    return node.first.get(name)


def of_scan_flat_dt(k: Kernel, it: Callable[[FlatNode], int]) -> int:
    """Call `it` on every node in blob order until it returns non-zero; return its last answer.

    Source: drivers/of/fdt.c of_scan_flat_dt()
    """
    for node in k.of.fdt.nodes:
        rc = it(node)
        if rc:
            return rc
    return 0


def of_fdt_limit_memory(k: Kernel, limit: int) -> None:
    """Leave at most `limit` banks in /memory, before memory is scanned.

    Source: drivers/of/fdt.c of_fdt_limit_memory()
    Differs: the blob in RAM keeps its bytes.
    """
    root, memory = k.of.fdt.nodes[0], fdt_path_offset(k.of.fdt, "/memory")
    counts = root.be32_to_cpup("#address-cells"), root.be32_to_cpup("#size-cells")
    entry = 4 * sum(1 if count is None else count for count in counts)
    reg = memory.first.get("reg") if memory is not None else None
    if memory is None or reg is None or len(reg) <= limit * entry:
        return
    step(k, "{place}: {banks} banks; the machine takes the first {limit}", level=KERN_WARNING,
         place=place_of(k, memory.path, "reg"), banks=len(reg) // entry, limit=limit)
    fdt_setprop(memory, "reg", reg[:limit * entry])


def of_fdt_is_compatible(node: FlatNode, compat: str) -> int:
    """The place (from 1) of `compat` in the node's compatible list, matched without case; 0 if absent.

    Source: drivers/of/fdt.c of_fdt_is_compatible()
    """
    value = node.first.get("compatible")
    if value is None:
        return 0
    names = value.split(b"\0")[:-1] if value.endswith(b"\0") else value.split(b"\0")
    for score, name in enumerate(names, 1):
        if name.decode("latin-1").lower() == compat.lower():
            return score
    return 0


def of_fdt_device_is_available(node: FlatNode) -> bool:
    """Whether the node's status is absent, "ok" or "okay".

    Source: drivers/of/fdt.c of_fdt_device_is_available()
    """
    status = node.first.get("status")
    return status is None or c_string(status) in ("ok", "okay")


def of_flat_dt_get_machine_name(k: Kernel) -> str:
    """The root's model, or its first compatible string.

    Source: drivers/of/fdt.c of_flat_dt_get_machine_name()
    """
    root = k.of.fdt.nodes[0]
    name = root.first.get("model") or root.first.get("compatible")
    return "(null)" if name is None else c_string(name).encode("latin-1").decode("utf-8", "surrogateescape")


def early_init_dt_verify(k: Kernel, dtb_pa: int) -> bool:
    """Check the blob's header at `dtb_pa` and read it through the early mapping of two sections.

    Source: drivers/of/fdt.c early_init_dt_verify()
    Differs: a structure block that is broken inside makes the kernel stop scanning silently; here it is a panic.
    """
    ram = k.machine.ram
    total = fdt_check_header(ram.read(dtb_pa, FDT_V17_SIZE))
    if total < 0:
        return False
    mapped_end = (dtb_pa & ~0xFFFFF) + 0x200000
    if dtb_pa + total > mapped_end:
        raise KernelPanic(
            None, f"device tree of {total} bytes at {dtb_pa:#x} ends at {dtb_pa + total:#x}: the kernel maps only the "
            f"two 1 MiB sections up to {mapped_end:#x} and takes a data abort; place it lower with --dtb-addr or "
            "make it smaller")
    try:
        k.of.fdt = parse(ram.read(dtb_pa, total))
    except (ValueError, IndexError) as e:
        raise KernelPanic(None, f"device tree at {dtb_pa:#x}: {e}") from None
    return True


def early_init_dt_scan_nodes(k: Kernel) -> None:
    """Read the command line, the root cells and the memory nodes.

    Source: drivers/of/fdt.c early_init_dt_scan_nodes()
    """
    if not of_scan_flat_dt(k, lambda node: early_init_dt_scan_chosen(k, node)):
        printk(k, KERN_WARNING, "OF: fdt: No chosen node found, continuing without")
    of_scan_flat_dt(k, lambda node: early_init_dt_scan_root(k, node))
    of_scan_flat_dt(k, lambda node: early_init_dt_scan_memory(k, node))


def early_init_dt_scan_chosen(k: Kernel, node: FlatNode) -> int:
    """Take the initrd's place and the command line from /chosen.

    Source: drivers/of/fdt.c early_init_dt_scan_chosen()
    """
    if node.depth != 1 or node.name not in ("chosen", "chosen@0"):
        return 0
    config = k.build.config
    if config.BLK_DEV_INITRD:
        early_init_dt_check_for_initrd(k, node)
    cmdline = ""
    if bootargs := node.first.get("bootargs"):
        cmdline = c_string(bootargs[:min(len(bootargs), COMMAND_LINE_SIZE) - 1])
    if config.CMDLINE_EXTEND:
        cmdline = (cmdline + " " + config.CMDLINE)[:COMMAND_LINE_SIZE - 1]
    elif config.CMDLINE_FORCE or not cmdline:
        cmdline = config.CMDLINE
    k.boot_command_line = cmdline
    step(k, "command line from {path}: {cmdline!r}", func="early_init_dt_scan_chosen", path=node.path, cmdline=cmdline)
    if seed := node.first.get("rng-seed"):
        if len(seed) * 8 >= POOL_READY_BITS and config.RANDOM_TRUST_BOOTLOADER:
            printk(k, KERN_NOTICE, "random: crng init done", func="_credit_init_bits")
        fdt_nop_property(node, "rng-seed")
        step(k, "{place} taken, and wiped out of the tree", func="early_init_dt_scan_chosen",
             place=place_of(k, node.path, "rng-seed"))
    return 1


def early_init_dt_scan_chosen_stdout(k: Kernel) -> int:
    """Make the device that /chosen stdout-path names the early console. Returns 0 or a negative errno.

    Source: drivers/of/fdt.c early_init_dt_scan_chosen_stdout()
    """
    from bootsim.linux.drivers.tty.serial.earlycon import earlycon_table, of_setup_earlycon

    chosen = fdt_path_offset(k.of.fdt, "/chosen") or fdt_path_offset(k.of.fdt, "/chosen@0")
    if chosen is None:
        return -ENOENT
    prop = "stdout-path" if "stdout-path" in chosen.first else "linux,stdout-path"
    value = chosen.first.get(prop)
    if not value:
        step(k, "cause: {place} has no stdout-path", place=place_of(k, chosen.path))
        return -ENOENT
    path, colon, options = c_string(value).partition(":")
    node = fdt_path_offset(k.of.fdt, path)
    if node is None:
        printk(k, KERN_WARNING, "OF: fdt: earlycon: stdout-path {path} not found", path=path)
        step(k, "cause: {place}: the tree has no such node or alias", place=place_of(k, chosen.path, prop))
        return 0
    names = node.first.get("compatible", b"").split(b"\0")
    for match in earlycon_table(k):
        if match.compatible and match.compatible.encode() in names and \
                of_setup_earlycon(k, match, node, options if colon else None) == 0:
            return 0
    step(k, "cause: {place} leads to {path}, for which this build has no early console",
         place=place_of(k, chosen.path, prop), path=node.path)
    return -ENODEV


def early_init_dt_check_for_initrd(k: Kernel, node: FlatNode) -> None:
    """Take linux,initrd-start and linux,initrd-end (pa) from /chosen.

    Source: drivers/of/fdt.c early_init_dt_check_for_initrd()
    """
    start, end = node.first.get("linux,initrd-start"), node.first.get("linux,initrd-end")
    if start is None or end is None:
        return
    first, last = read_number(cells(start)), read_number(cells(end))
    k.phys_initrd_start = first & 0xFFFFFFFF
    k.phys_initrd_size = (last - first) & 0xFFFFFFFF
    k.facts.add("phys_initrd_start", k.phys_initrd_start, "pa", "linux,initrd-start",
                (f"dtb:{node.path}:linux,initrd-start", "CONFIG_BLK_DEV_INITRD"),
                "drivers/of/fdt.c early_init_dt_check_for_initrd()")
    k.facts.add("phys_initrd_size", k.phys_initrd_size, "bytes", "linux,initrd-end - linux,initrd-start",
                (f"dtb:{node.path}:linux,initrd-start", f"dtb:{node.path}:linux,initrd-end"),
                "drivers/of/fdt.c early_init_dt_check_for_initrd()")
    step(k, "initrd from {path}: {start:#010x}-{end:#010x}, {size} bytes", func="early_init_dt_check_for_initrd",
         path=node.path, start=k.phys_initrd_start, end=last & 0xFFFFFFFF, size=k.phys_initrd_size)


def early_init_dt_scan_root(k: Kernel, node: FlatNode) -> int:
    """Take #size-cells and #address-cells of the root.

    Source: drivers/of/fdt.c early_init_dt_scan_root()
    """
    size, addr = node.be32_to_cpup("#size-cells"), node.be32_to_cpup("#address-cells")
    k.of.dt_root_size_cells = 1 if size is None else size
    k.of.dt_root_addr_cells = 1 if addr is None else addr
    return 1


def memory_banks(k: Kernel, node: FlatNode) -> Iterator[tuple[int, int]]:
    """The (base, size) of each bank (64-bit pa, bytes) of a node whose device_type is "memory"; none of any other.

    Source: drivers/of/fdt.c early_init_dt_scan_memory(), and the machines' own scans, which are the same loop
    """
    type_ = node.first.get("device_type")
    reg = node.first.get("linux,usable-memory", node.first.get("reg"))
    if type_ is None or c_string(type_) != "memory" or reg is None:
        return
    words = cells(reg)
    a, s = k.of.dt_root_addr_cells, k.of.dt_root_size_cells
    for i in range(0, len(words) - (a + s) + 1, a + s):
        yield read_number(words[i:i + a]), read_number(words[i + a:i + a + s])


def early_init_dt_scan_memory(k: Kernel, node: FlatNode) -> int:
    """Add the banks of a node whose device_type is "memory".

    Source: drivers/of/fdt.c early_init_dt_scan_memory()
    """
    type_ = node.first.get("device_type")
    if type_ is None or c_string(type_) != "memory":
        return 0
    prop = "linux,usable-memory" if "linux,usable-memory" in node.first else "reg"
    reg = node.first.get(prop)
    if reg is None:
        return 0
    each = k.of.dt_root_addr_cells + k.of.dt_root_size_cells
    if not each:
        raise KernelPanic(None, f"{place_of(k, '/')}: #address-cells and #size-cells are both 0: the kernel reads "
                          f"empty banks from {node.path} for ever")
    k.of.memory_nodes.append((node.path, prop))
    hotpluggable = "hotpluggable" in node.first
    for base, size in memory_banks(k, node):
        if size == 0:
            step(k, "{path}: {prop} has an empty bank at {base:#x}: passed over", level=KERN_WARNING, path=node.path,
                 prop=prop, base=base)
            continue
        early_init_dt_add_memory_arch(k, base, size, f"dtb:{node.path}:{prop}")
        if not hotpluggable:
            continue
        ret = memblock_mark_hotplug(k.mm.memblock, base & 0xFFFFFFFF, size & 0xFFFFFFFF,
                                    Purpose("bank", "hotpluggable memory", f"dtb:{node.path}:hotpluggable"))
        if isinstance(ret, Err):
            printk(k, KERN_WARNING, "OF: fdt: failed to mark hotplug range {base:#x} - {end:#x}", base=base,
                   end=base + size)
            step(k, "cause: {place}: {why}", place=place_of(k, node.path, "hotpluggable"), why=cause(k, ret.why))
    if len(reg) % (4 * each):
        step(k, "{place}: the last {size} bytes make no whole bank of {cells} cells: passed over", level=KERN_WARNING,
             place=place_of(k, node.path, prop), size=len(reg) % (4 * each), cells=each)
    return 0


def _unusable(start: int, end: int, phys_offset: int) -> str:
    # why the kernel cannot use [start, end) (pa)
    if end - start < 2 * PAGE_SIZE and -start % PAGE_SIZE + PAGE_SIZE > end - start:
        return f"{end - start} bytes are no whole page (sizes are in bytes)"
    if start > _MAX_MEMBLOCK_ADDR:
        return "a kernel without LPAE cannot address memory above 4 GiB"
    return f"memory below PHYS_OFFSET {phys_offset:#x}, which is where the kernel was loaded, has no virtual address"


def early_init_dt_add_memory_arch(k: Kernel, base: int, size: int, root: str) -> None:
    """Clamp a bank (64-bit pa, bytes) to whole pages the kernel can address and add it to memory.

    `root` names the property it came from, for the facts.
    Source: drivers/of/fdt.c early_init_dt_add_memory_arch()
    """
    func = "early_init_dt_add_memory_arch"
    phys_offset = k.mm.phys_offset
    offered = (base, size)
    place = place_of(k, *root.removeprefix("dtb:").rsplit(":", 1)) if root.startswith("dtb:") else root

    def ignore(what: str, start: int, end: int) -> None:
        printk(k, KERN_WARNING, "OF: fdt: Ignoring memory {what} {start:#x} - {end:#x}", func=func, what=what,
               start=start & _U64, end=end & _U64)
        step(k, "cause: {place}: {why}", func=func, place=place, why=_unusable(start, end, phys_offset))

    in_page = base & (PAGE_SIZE - 1)
    if size < PAGE_SIZE - in_page:
        return ignore("block", base, base + size)
    if in_page:
        size -= PAGE_SIZE - in_page
        base += PAGE_SIZE - in_page
    size &= ~(PAGE_SIZE - 1)
    if base > _MAX_MEMBLOCK_ADDR:
        return ignore("block", base, base + size)
    if (base + size - 1) & _U64 > _MAX_MEMBLOCK_ADDR:
        ignore("range", _MAX_MEMBLOCK_ADDR + 1, base + size)
        size = _MAX_MEMBLOCK_ADDR - base + 1
    if base + size < phys_offset:
        return ignore("block", base, base + size)
    if base < phys_offset:
        ignore("range", base, phys_offset)
        size -= phys_offset - base
        base = phys_offset
    if memblock_overlaps_region(k.mm.memblock.memory, base, size & 0xFFFFFFFF):
        step(k, "{place}: bank {base:#x}+{size:#x} overlaps an earlier bank; memory is counted once", func=func,
             level=KERN_WARNING, place=place, base=base, size=size)
    ret = memblock_add(k.mm.memblock, base, size & 0xFFFFFFFF, func, Purpose("bank", "RAM", root))
    if unheeded(k, ret, f"adding the bank {base:#x}+{size:#x} of {place}"):
        return None
    n = len([f for f in k.facts if f.name.startswith("bank")]) // 2
    inputs = (root, "PHYS_OFFSET")
    source = "drivers/of/fdt.c early_init_dt_add_memory_arch()"
    k.facts.add(f"bank{n}.base", base, "pa", "reg, rounded up to a page, not below PHYS_OFFSET", inputs, source)
    k.facts.add(f"bank{n}.size", size, "bytes", "reg, whole pages within 32 bits from PHYS_OFFSET", inputs, source)
    step(k, "memory bank {base:#010x}-{end:#010x} ({mib} MiB) from {root} (of {offered_base:#x}+{offered_size:#x})",
         func=func, base=base, end=base + size - 1, mib=size >> 20, root=root.removeprefix("dtb:"),
         offered_base=offered[0], offered_size=offered[1])
    return None


def early_init_dt_reserve_memory_arch(k: Kernel, base: int, size: int, nomap: bool, purpose: Purpose) -> int:
    """Reserve [base, base + size) (pa, bytes), or take it out of the mapping; 0, or a negative errno with why.

    The -EBUSY of a no-map region has no more to say than who is there; -ENOMEM has an ArrayFull.
    Source: drivers/of/fdt.c early_init_dt_reserve_memory_arch()
    """
    mb = k.mm.memblock
    if nomap:
        if memblock_is_region_reserved(mb, base, size):
            return -EBUSY
        return memblock_mark_nomap(mb, base, size, purpose)
    return memblock_reserve(mb, base, size, "early_init_dt_reserve_memory_arch", purpose)


def _reserve_reg(k: Kernel, node: FlatNode) -> int:
    # __reserved_mem_reserve_reg(): reserve every range of `reg`; the first one stands for the node
    from bootsim.linux.drivers.of.of_reserved_mem import fdt_reserved_mem_save_node

    func = "__reserved_mem_reserve_reg"
    a, s = k.of.dt_root_addr_cells, k.of.dt_root_size_cells
    prop = node.first.get("reg")
    if prop is None:
        return -ENOENT
    t_len = (a + s) * 4
    if not t_len:
        raise KernelPanic(None, f"{place_of(k, '/')}: #address-cells and #size-cells are both 0: the kernel reads "
                          f"empty ranges from {place_of(k, node.path, 'reg')} for ever")
    if prop and len(prop) % t_len:
        printk(k, KERN_ERR, "OF: fdt: Reserved memory: invalid reg property in '{uname}', skipping node.", func=func,
               uname=node.name)
        step(k, "cause: {place} has {bytes} bytes, expected a multiple of {expected}", func=func,
             place=place_of(k, node.path, "reg"), bytes=len(prop), expected=t_len)
        return -EINVAL
    nomap = "no-map" in node.first
    purpose = Purpose("node", node.path, f"dtb:{node.path}:reg")
    words = cells(prop)
    for i in range(0, len(words), a + s):
        base = read_number(words[i:i + a]) & 0xFFFFFFFF
        size = read_number(words[i + a:i + a + s]) & 0xFFFFFFFF
        ret = early_init_dt_reserve_memory_arch(k, base, size, nomap, purpose) if size else -EINVAL
        if ret == 0:
            step(k, "reserved-memory {path}: {base:#010x}+{size:#x}{nomap}", func=func, path=node.path, base=base,
                 size=size, nomap=", taken out of the linear mapping" if nomap else "")
        else:
            printk(k, KERN_INFO, "OF: fdt: Reserved memory: failed to reserve memory for node '{uname}': base "
                   "{base:#010x}, size {mib} MiB", func=func, uname=node.name, base=base, mib=size >> 20)
            why = "the size is 0" if not size else cause(k, ret.why) if isinstance(ret, Err) else \
                f"no-map, but {' and '.join(holders(k, base, size))} is reserved there already"
            step(k, "cause: {place}: {why}", func=func, place=place_of(k, node.path, "reg"), why=why)
        if i == 0:
            fdt_reserved_mem_save_node(k, node, base, size)
    return 0


def _check_root(k: Kernel, node: FlatNode) -> bool:
    # __reserved_mem_check_root()
    return (node.be32_to_cpup("#size-cells") == k.of.dt_root_size_cells
            and node.be32_to_cpup("#address-cells") == k.of.dt_root_addr_cells and "ranges" in node.first)


def early_init_fdt_scan_reserved_mem(k: Kernel) -> None:
    """Reserve what the blob's /memreserve/ entries and /reserved-memory ask for.

    Source: drivers/of/fdt.c early_init_fdt_scan_reserved_mem(), __fdt_scan_reserved_mem()
    """
    from bootsim.linux.drivers.of.of_reserved_mem import fdt_init_reserved_mem, fdt_reserved_mem_save_node

    for i, (base, size) in enumerate(k.of.fdt.reservations):
        ret = early_init_dt_reserve_memory_arch(k, base & 0xFFFFFFFF, size & 0xFFFFFFFF, False,
                                                Purpose("node", f"/memreserve/ entry {i}"))
        if not unheeded(k, ret, f"reserving what /memreserve/ entry {i} names, {base:#010x}+{size:#x},"):
            step(k, "/memreserve/ {base:#010x}+{size:#x}", base=base, size=size)
    found = False
    for node in k.of.fdt.nodes:
        if not found:
            if node.depth == 1 and node.name == "reserved-memory":
                if not _check_root(k, node):
                    printk(k, KERN_ERR, "OF: fdt: Reserved memory: unsupported node format, ignoring",
                           func="__fdt_scan_reserved_mem")
                    step(k, "cause: {place} needs #address-cells = <{a}>, #size-cells = <{s}> (the root's) and ranges",
                         place=place_of(k, node.path), a=k.of.dt_root_addr_cells, s=k.of.dt_root_size_cells)
                    break
                found = True
            continue
        if node.depth < 2:
            break
        if not of_fdt_device_is_available(node):
            continue
        if _reserve_reg(k, node) == -ENOENT and "size" in node.first:
            fdt_reserved_mem_save_node(k, node, 0, 0)
    fdt_init_reserved_mem(k)


def early_init_dt_alloc_memory_arch(k: Kernel, size: int, align: int, what: str) -> int:
    """Allocate for `what` of the unflattened tree (bytes); returns pa.

    Source: drivers/of/fdt.c early_init_dt_alloc_memory_arch()
    """
    func = "early_init_dt_alloc_memory_arch"
    pa = memblock_alloc(k.mm.memblock, size, align, func, Purpose("tree", what))
    if isinstance(pa, Err):
        raise KernelPanic(f"{func}: Failed to allocate {size} bytes align={align:#x}", f"{what}: {cause(k, pa.why)}")
    return pa


def unflatten_device_tree(k: Kernel) -> None:
    """Make the tree of device nodes in one allocation of its exact size, then scan the aliases.

    Source: drivers/of/fdt.c unflatten_device_tree(), __unflatten_device_tree()
    """
    size = (_unflattened_size(k) + 3) & ~3
    pa = early_init_dt_alloc_memory_arch(k, size + 4, 4, "unflattened device tree")
    k.machine.ram.write(pa + size, b"\xde\xad\xbe\xef")
    k.facts.add("unflattened_tree.size", size, "bytes", "device_node, property and name of every node, word-aligned",
                ("sizeof:struct device_node", "sizeof:struct property", "dtb:/:*"),
                "drivers/of/fdt.c __unflatten_device_tree()")
    k.facts.add("unflattened_tree", pa, "pa", "below the memory map, where it fits",
                (*(name for name in ("mem_map", "mem_map.size") if name in k.facts), "unflattened_tree.size",
                 "empty_zero_page", "memblock.current_limit", "CONFIG_SPARSEMEM", "CONFIG_FORCE_MAX_ZONEORDER",
                 *k.owners.above(pa, k.mm.memblock.current_limit)),
                "drivers/of/fdt.c __unflatten_device_tree()")
    k.of.of_root = _build_nodes(k)
    step(k, "device tree unflattened: {nodes} nodes, {props} properties, {size} bytes at {pa:#010x}",
         nodes=len(k.of.fdt.nodes), props=sum(len(n.props) for n in k.of.fdt.nodes), size=size, pa=pa)
    of_alias_scan(k, early_init_dt_alloc_memory_arch)


def _base_name(unit_name: str) -> str:
    # the "name" property made for a node that has none: last path part, without the unit address
    tail = unit_name.rpartition("/")[2]
    return tail.rpartition("@")[0] if "@" in tail else tail


def _populated(k: Kernel) -> list[FlatNode]:
    # without CONFIG_OF_KOBJ, which follows SYSFS, nodes that are not available are left out; not what lies below them
    return [n for n in k.of.fdt.nodes if k.build.config.SYSFS or of_fdt_device_is_available(n)]


def _unflattened_size(k: Kernel) -> int:
    # unflatten_dt_nodes() as a dry run: populate_node() and populate_properties() take their memory in this order
    node_bytes, prop_bytes = k.build.sizeof.device_node, k.build.sizeof.property
    used = 0
    for node in _populated(k):
        name, props = node.name, node.props
        used = ((used + 3) & ~3) + node_bytes + len(name) + 1
        used = ((used + 3) & ~3) + prop_bytes * len(props) if props else used
        if "name" not in node.first:
            used = ((used + 3) & ~3) + prop_bytes + len(_base_name(name)) + 1
    return used


def _build_nodes(k: Kernel) -> DeviceNode:
    # the second pass: live nodes, children in the blob's order. What lies below a node that was left out goes to the
    # last node of its depth, as the kernel's array of parents has it.
    last: dict[int, DeviceNode] = {}
    for flat in _populated(k):
        first, full_name, depth = flat.first, flat.name, flat.depth
        name = c_string(first["name"]) if "name" in first else _base_name(full_name)
        node = DeviceNode(name, full_name, flat.path, first, flat.props)
        if depth:
            last.get(depth - 1, last[0]).children.append(node)
        last[depth] = node
    return last[0]
