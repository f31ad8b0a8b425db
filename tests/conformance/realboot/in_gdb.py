"""Runs inside the debugger: stops a booting kernel at every stage and writes what it finds, as a state directory.

Small things are read as the debugger's values, which know the build's struct layouts. Large ones (page tables, the
array of struct page) are read as physical memory through QEMU's monitor, which is a hundred times faster.
The job is a JSON file that the environment variable CONFORMANCE_JOB names:

    out           the state directory
    gdb           what to connect to
    functions     addresses of functions, from System.map: to the debugger, a weak function that lost has its name still
    page_offset   CONFIG_PAGE_OFFSET
    phys_offset   start of RAM; used when the kernel was built for one address
    until         mem_init: stop there, since what comes after needs a machine that QEMU is not
    log           whether to read the log out of the kernel's memory, since no serial port writes it
"""

import json
import os
import struct
from pathlib import Path

import gdb

L1_BYTES = 0x4000
DESC_ID_BITS = 30
COMMITTED, FINALIZED = 1, 2
PAGE_BYTES = 0x1000
SECTION_FLAGS = 0xF
CP15 = ("SCTLR", "TTBR0", "TTBR1", "TTBCR", "DACR", "PRRR", "NMRR", "CONTEXTIDR")


class PanickedError(Exception):
    """The kernel called panic()."""


class LostError(Exception):
    """The machine stopped where nobody asked it to."""


def value(expression):
    return gdb.parse_and_eval(expression)


def number(expression):
    return int(value(expression))


def address_of(symbol):
    """The address of a symbol, None when this build has none."""
    try:
        return number(f"(unsigned long)&{symbol}")
    except gdb.error:
        return None


def members(array):
    low, high = array.type.range()
    return (array[i] for i in range(low, high + 1))


class Memory:
    """Physical memory, and the kernel's linear map of it."""

    def __init__(self, job):
        self._scratch = Path(job["out"]) / "memory.tmp"
        self.page_offset = job["page_offset"]
        self._default_phys_offset = job["phys_offset"]

    @property
    def phys_offset(self):
        if address_of("__pv_phys_pfn_offset") is None:
            return self._default_phys_offset
        return number("__pv_phys_pfn_offset") << 12

    def physical(self, pa, size):
        gdb.execute(f'monitor pmemsave {pa:#x} {size:#x} "{self._scratch}"', to_string=True)
        data = self._scratch.read_bytes()
        self._scratch.unlink()
        if len(data) != size:
            raise LostError(f"{len(data)} of {size} bytes at physical {pa:#x}")
        return data

    def linear(self, va, size):
        return self.physical(self.to_physical(va), size)

    def to_physical(self, va):
        return (va - self.page_offset + self.phys_offset) & 0xFFFFFFFF


class Pages:
    """The array of struct page, read once, with its lists walked here."""

    def __init__(self, memory):
        self._memory = memory
        page = gdb.lookup_type("struct page")
        self._size = page.sizeof
        self._lru = number("(unsigned long)&((struct page *)0)->lru")
        self._pieces = list(self._sparse() if address_of("mem_section") is not None else self._flat())

    def _flat(self):
        first_pfn = self._memory.phys_offset >> 12
        count = number("contig_page_data.node_start_pfn + contig_page_data.node_spanned_pages") - first_pfn
        yield self._piece(number("(unsigned long)mem_map"), first_pfn, count)

    def _sparse(self):
        sections = value("mem_section")
        if sections.type.target().code == gdb.TYPE_CODE_ARRAY:
            sections = sections[0]
        total = sections.type.range()[1] + 1
        per_section = (1 << 20) // total
        for i, section in enumerate(members(sections)):
            coded = int(section["section_mem_map"])
            if coded & 2:
                first_pfn = i * per_section
                start = ((coded & ~SECTION_FLAGS) + first_pfn * self._size) & 0xFFFFFFFF
                yield self._piece(start, first_pfn, per_section)

    def _piece(self, start, first_pfn, count):
        return start, first_pfn, self._memory.linear(start, count * self._size)

    def list(self, head, first):
        """The pfns of the list at `head`, whose first entry is `first`, in list order."""
        pfns = []
        entry = first
        while entry != head:
            pfn, data, offset = self._find(entry)
            pfns.append(pfn)
            entry = struct.unpack_from("<I", data, offset)[0]
            if len(pfns) > 1 << 20:
                raise LostError(f"the list at {head:#x} never ends")
        return pfns

    def _find(self, entry):
        for start, first_pfn, data in self._pieces:
            offset = entry - start
            if 0 <= offset < len(data):
                return first_pfn + (offset - self._lru) // self._size, data, offset
        raise LostError(f"a free list leads to {entry:#x}, where no struct page is")


class Reader:
    """The state of the kernel, as the fields of a stage."""

    def __init__(self, job):
        self.memory = Memory(job)
        self._out = Path(job["out"])

    def memblock(self):
        fields = {}
        for kind in ("memory", "reserved"):
            array = value(f"memblock.{kind}")
            regions = array["regions"]
            fields[kind] = [
                [int(region[name]) for name in ("base", "size", "flags")]
                for region in (regions[i] for i in range(int(array["cnt"])))
            ]
        fields["current_limit"] = number("memblock.current_limit")
        fields["bottom_up"] = bool(number("memblock.bottom_up"))
        return {"memblock": fields}

    def lowmem_limit(self):
        return {"lowmem_limit": number("arm_lowmem_limit")}

    def limits(self):
        pfns = {name: number(name) for name in ("min_low_pfn", "max_low_pfn", "max_pfn")}
        return {"high_memory": number("(unsigned long)high_memory"), **pfns}

    def tables(self, stage):
        pgd_pa = self.memory.to_physical(address_of("swapper_pg_dir"))
        l1 = self.memory.physical(pgd_pa, L1_BYTES)
        words = struct.unpack(f"<{L1_BYTES // 4}I", l1)
        l2_pages = sorted({word & ~0xFFF for word in words if word & 3 == 1})
        stem = stage.replace(":", ".")
        (self._out / f"{stem}.l1.bin").write_bytes(l1)
        l2 = b"".join(self.memory.physical(pa, PAGE_BYTES) for pa in l2_pages)
        (self._out / f"{stem}.l2.bin").write_bytes(l2)
        return {"tables": {"swapper_pg_dir": pgd_pa, "l2_pages": l2_pages}}

    def zones(self):
        pages = Pages(self.memory)
        zones = [self._zone(zone, pages) for zone in members(value("contig_page_data.node_zones"))]
        return {"zones": zones, "totalram_pages": number("_totalram_pages.counter")}

    def _zone(self, zone, pages):
        zone.fetch_lazy()
        return {
            "name": zone["name"].string() if int(zone["name"]) else None,
            "start_pfn": int(zone["zone_start_pfn"]),
            "spanned": int(zone["spanned_pages"]),
            "present": int(zone["present_pages"]),
            "managed": int(zone["managed_pages"]["counter"]),
            "nr_free_pages": int(zone["vm_stat"][0]["counter"]),
            "watermark": [int(zone["_watermark"][i]) for i in range(3)],
            "lowmem_reserve": [int(reserve) for reserve in members(zone["lowmem_reserve"])],
            "free_area": [self._free_area(area, pages) for area in members(zone["free_area"])],
            "pcp": [self._pageset(pageset, pages) for pageset in self._pagesets(zone)],
        }

    def _free_area(self, area, pages):
        lists = [self._list(head, pages) for head in members(area["free_list"])]
        return {"nr_free": int(area["nr_free"]), "lists": lists}

    def _list(self, head, pages):
        first = int(head["next"])
        return pages.list(int(head.address), first) if first else []

    def _pagesets(self, zone):
        base = int(zone["pageset"])
        if not base:
            return
        kind = zone["pageset"].type.target()
        offsets = [0]
        if address_of("__per_cpu_offset") is not None:
            offsets = [int(value("__per_cpu_offset")[cpu]) for cpu in range(number("nr_cpu_ids"))]
        for offset in offsets:
            where = gdb.Value((base + offset) & 0xFFFFFFFF)
            yield where.cast(kind.unqualified().pointer()).dereference()

    def _pageset(self, pageset, pages):
        pageset.fetch_lazy()
        pcp = pageset["pcp"]
        numbers = {name: int(pcp[name]) for name in ("count", "high", "batch")}
        return {**numbers, "lists": [self._list(head, pages) for head in members(pcp["lists"])]}

    def areas(self):
        areas = (value(f"cma_areas[{i}]") for i in range(number("cma_area_count")))
        names = ("base_pfn", "count", "order_per_bit")
        return {"areas": [{"name": area["name"].string(), **{n: int(area[n]) for n in names}} for area in areas]}

    def handover(self):
        """What the loader left: where the tree is, and the tree itself, which nobody has touched yet."""
        atags = number("__atags_pointer")
        size = int.from_bytes(self.memory.physical(atags + 4, 4), "big")
        (self._out / "boot.dtb").write_bytes(self.memory.physical(atags, size))
        return {"atags": atags, "phys_offset": self.memory.phys_offset, "cp15": dict(self._cp15())}

    def log(self):
        """The kernel's log buffer as a console would have written it, from its oldest record."""
        ring, texts = value("prb->desc_ring"), value("prb->text_data_ring")
        count, size = 1 << int(ring["count_bits"]), 1 << int(texts["size_bits"])
        text = self.memory.linear(int(texts["data"]), size)
        mask = (1 << DESC_ID_BITS) - 1
        first, last = (int(ring[name]["counter"]) & mask for name in ("tail_id", "head_id"))
        lines = []
        for number_ in range((last - first & mask) + 1):
            index = (first + number_ & mask) % count
            desc, info = ring["descs"][index], ring["infos"][index]
            begin, end = (int(desc["text_blk_lpos"][name]) & 0xFFFFFFFF for name in ("begin", "next"))
            if (int(desc["state_var"]["counter"]) >> DESC_ID_BITS & 3) not in (COMMITTED, FINALIZED) or begin & 1:
                continue
            # a block that would wrap around stands at the start of the buffer
            at = begin % size if begin // size == (end - 1) // size else 0
            words = text[at + 4 : at + 4 + int(info["text_len"])].decode("utf-8", "replace")
            stamp = f"[{int(info['ts_nsec']) / 1e9:12.6f}] "
            lines += [stamp + line for line in words.split("\n")]
        (self._out / "console.log").write_text("\n".join(lines) + "\n")

    def _cp15(self):
        for name in CP15:
            for register in (name, f"{name}_S"):
                try:
                    yield register, int(gdb.selected_frame().read_register(register)) & 0xFFFFFFFF
                except (gdb.error, ValueError):
                    continue


class Boot:
    """One boot under the debugger: where it is, and what has been seen of it."""

    def __init__(self, job):
        self._out = Path(job["out"])
        self._functions = job["functions"]
        self._stages = {}
        self._panic = self._functions["panic"]

    def has(self, function):
        return function in self._functions

    def run_to(self, function):
        """Let the kernel run to the first instruction of a function."""
        if not self.has(function):
            raise LostError(f"this kernel has no {function}()")
        self._run_to(self._functions[function])

    def run_out(self):
        """Let the function that was just entered return."""
        self._run_to(number("(unsigned long)$lr") & ~1)

    def _run_to(self, address):
        stops = [
            gdb.Breakpoint(f"*{stop:#x}", type=gdb.BP_HARDWARE_BREAKPOINT, internal=True)
            for stop in {address, self._panic}
        ]
        gdb.execute("continue", to_string=True)
        for stop in stops:
            stop.delete()
        pc = number("(unsigned long)$pc") & ~1
        if pc == self._panic:
            raise PanickedError
        if pc != address:
            raise LostError(f"stopped at {pc:#x}, expected {address:#x}")

    def save(self, stage, *parts):
        self._stages[stage] = {key: field for part in parts for key, field in part.items()}
        self.write()
        print("stage", stage, flush=True)

    def write(self):
        target = self._out / "stages.json"
        partial = target.with_suffix(".tmp")
        partial.write_text(json.dumps(self._stages))
        partial.replace(target)


def up_to_mem_init(boot, read):
    """The stages that need nothing but RAM."""
    boot.run_to("start_kernel")
    boot.save("__create_page_tables", read.tables("__create_page_tables"), read.handover())
    boot.run_to("adjust_lowmem_bounds")
    boot.save("setup_machine_fdt", read.memblock())
    boot.run_to("arm_memblock_init")
    boot.save("adjust_lowmem_bounds", read.memblock(), read.lowmem_limit())
    boot.run_to("adjust_lowmem_bounds")
    boot.save("arm_memblock_init", read.memblock(), read.lowmem_limit())
    boot.run_to("paging_init")
    boot.save("adjust_lowmem_bounds_2", read.memblock(), read.lowmem_limit())
    boot.save("paging_init:entry", read.tables("paging_init:entry"))
    boot.run_to("bootmem_init")
    boot.save("bootmem_init:entry", read.memblock(), read.tables("bootmem_init:entry"))
    boot.run_to("unflatten_device_tree")
    stage = "request_standard_resources"
    boot.save(stage, read.memblock(), read.tables(stage), read.limits())
    boot.run_to("setup_per_cpu_areas")
    boot.save("setup_arch", read.memblock())
    boot.run_to("mem_init")
    boot.save("mem_init:entry", read.memblock())
    boot.run_to("mem_init_print_info")
    boot.save("memblock_free_all", read.memblock(), read.zones(), read.tables("memblock_free_all"))
    boot.run_to("kmem_cache_init")
    boot.save("mem_init", read.zones())


def up_to_free_initmem(boot, read):
    """The stages that come after drivers."""
    if boot.has("cma_init_reserved_areas"):
        boot.run_to("cma_init_reserved_areas")
        boot.save("cma_init_reserved_areas:entry", read.zones())
        boot.run_out()
        boot.save("cma_init_reserved_areas", read.zones(), read.areas())
    boot.run_to("free_initmem")
    boot.save("free_initmem:entry", read.zones(), read.tables("free_initmem:entry"))
    boot.run_out()
    boot.save("free_initmem", read.zones(), read.tables("free_initmem"))


def main():
    job = json.loads(Path(os.environ["CONFORMANCE_JOB"]).read_text())
    for setting in ("pagination off", "confirm off", "tcp connect-timeout 20"):
        gdb.execute(f"set {setting}")
    gdb.execute(f"target remote {job['gdb']}", to_string=True)
    boot, read = Boot(job), Reader(job)
    how = "booted"
    try:
        up_to_mem_init(boot, read)
        if job["until"] != "mem_init":
            up_to_free_initmem(boot, read)
    except PanickedError:
        boot.write()
        how = "panicked"
    if job["log"]:
        read.log()
    (Path(job["out"]) / "end.json").write_text(json.dumps({"how": how}))
    print("end", how, flush=True)
    gdb.execute("detach", to_string=True)


try:
    main()
except (gdb.error, LostError, OSError) as error:
    print("lost:", error, flush=True)
    gdb.execute("quit 1")
