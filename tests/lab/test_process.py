"""Processes at the prompt."""

import struct

import pytest

import bootsim
from bootsim.errors import InputError, KernelPanic
from bootsim.inputs.configfile import load_build
from bootsim.lab.process import Answer
from bootsim.lab.session import Session
from bootsim.linux.mm.filemap.cache import PageCache
from bootsim.views import alive


@pytest.fixture
def lab():
    lab = Session(bootsim.boot("vexpress.dts", config="3G/1G", mem="256M", cmdline="norandmaps"), alive.text)
    lab.names()
    return lab


@pytest.fixture
def program(tmp_path):
    head = struct.pack("<4sBBB9xHHIIIIIHHHHHH", b"\x7fELF", 1, 1, 1, 2, 40, 1, 0x10100, 52, 0, 0x05000200, 52, 32, 2, 0,
                       0, 0)  # fmt: skip
    path = tmp_path / "a.elf"
    segments = (1, 0, 0x10000, 0x10000, 0x2000, 0x3000, 7, 0x1000), (0x6474E551, 0, 0, 0, 0, 0, 6, 4)
    path.write_bytes(head + b"".join(struct.pack("<8I", *words) for words in segments) + bytes(0x2000))
    return path


def test_a_program_and_its_calls(lab, program):
    p = lab.process(program, "argument")
    addr = p.mmap(0, 4 * 4096)
    assert repr(addr) == "0xb6ff9000"
    assert p.touch(addr, write=True) == ""
    assert p.touch(0x100, write=True) == "SIGSEGV"
    assert repr(p.munmap(addr + 1, 4096)) == "-EINVAL"
    assert p.mprotect(addr, 4096, lab.bare["PROT_READ"]) == 0
    assert f"{addr:08x}-{addr + 4096:08x} r--p" in p.maps
    assert "[stack]" in lab.cat(f"/proc/{p.pid}/maps")
    assert "VmSize:" in lab.cat(f"/proc/{p.pid}/status")
    assert "VmFlags: rd mr mw me ac" in p.vma(addr)
    assert any("munmap" in r.text and "EINVAL" in r.text for r in lab.k.log.records)


def test_files_are_mapped(lab, program, tmp_path):
    p = lab.process(program)
    (tmp_path / "data").write_bytes(b"x" * 5000)
    fd = p.open(tmp_path / "data")
    addr = p.mmap(0, 3 * 4096, 1, lab.bare["MAP_PRIVATE"], fd, 4096)
    assert [p.touch(addr + i * 4096) for i in range(2)] == ["", "SIGBUS"]
    assert repr(p.mmap(0, 4096, 3, lab.bare["MAP_SHARED"], fd)) == "-EACCES"
    with pytest.raises(InputError, match="offset"):
        p.mmap(0, 4096, 1, 2, fd, 5)


def test_children_and_the_end(lab, program):
    p = lab.process(program)
    child = p.fork()
    assert [each.pid for each in lab.ps()] == [1, 2]
    child.munmap(0x10000, 4096)
    assert "00010000-" in p.maps
    child.exit()
    assert repr(child) == "<process 2: gone>"
    with pytest.raises(InputError, match="process 2"):
        child.brk()


def test_rmap_finds_everybody_who_maps_a_page(lab, program, tmp_path):
    p = lab.process(program)
    addr = p.mmap(0, 4096)
    p.write(addr, b"shared")
    child = p.fork()
    told = lab.rmap(p.pfn(addr)).splitlines()
    assert [line.split(", entry")[0] for line in told] == [f"process {n}: {addr:#010x}" for n in (1, 2)]
    child.write(addr, b"own")
    assert len(lab.rmap(p.pfn(addr)).splitlines()) == len(lab.rmap(child.pfn(addr)).splitlines()) == 1
    assert (p.read(addr, 6), child.read(addr, 6)) == (b"shared", b"ownred")
    (tmp_path / "data").write_bytes(b"x" * 5000)
    file = p.mmap(0, 8192, 1, lab.bare["MAP_SHARED"], p.open(tmp_path / "data"))
    p.touch(file)
    assert lab.rmap(p.pfn(file + 4096)).startswith(f"process 1: {file + 4096:#010x}, entry ")
    assert "no mapping" in lab.rmap(p._pages.zero_page())
    with pytest.raises(InputError, match="SEGV_MAPERR"):
        p.read(0x10)
    with pytest.raises(InputError, match="rmap"):
        lab.rmap("x")
    with pytest.raises(InputError, match="rmap"):
        lab.rmap(5)


def test_smaps_and_pagemap_tell_what_is_in_memory(lab, program):
    p = lab.process(program)
    addr = p.mmap(0, 4 * 4096)
    p.write(addr, b"a")
    p.write(addr + 4096, b"b")
    p.touch(addr + 8192)
    child = p.fork()
    child.write(addr, b"c")

    def rows(process):
        text = process.smaps.split(f"{addr:08x}-")[1].splitlines()[1:23]
        return {line.split(":")[0]: line.split(":")[1].split()[0] for line in text if ":" in line}

    mine = rows(p)
    assert (mine["Size"], mine["Rss"], mine["Pss"], mine["Anonymous"]) == ("16", "8", "6", "8")
    assert (mine["Shared_Dirty"], mine["Private_Dirty"], mine["Referenced"]) == ("4", "4", "8")
    assert rows(child)["Referenced"] == "4"
    assert p.smaps.count("VmFlags: ") == len(p.maps.splitlines())
    assert "Private_Hugetlb:       0 kB\nSwap:                  0 kB" in p.smaps
    assert lab.cat(f"/proc/{p.pid}/smaps") == p.smaps
    assert p.pagemap(addr) == 1 << 63 | 1 << 56 | p.pfn(addr)
    assert not p.pagemap(addr + 4096) >> 56 & 1
    assert p.pagemap(addr + 3 * 4096) == 0


def test_back_undoes_a_process(lab, program):
    lab.remember()
    p = lab.process(program)
    lab.remember()
    p.mmap(0, 4096)
    lab.remember()
    lab.back()
    assert p.task.mm.map_count == 6
    assert lab.ps()


@pytest.mark.parametrize("what", ["missing", "text"])
def test_what_is_no_program_is_one_line(lab, tmp_path, what):
    path = tmp_path / what
    if what == "text":
        path.write_text("#!/bin/sh\n" * 10)
    with pytest.raises(InputError) as told:
        lab.process(path)
    assert what in str(told.value)
    assert "\n" not in str(told.value)
    assert lab.ps() == []


@pytest.mark.parametrize(
    ("name", "args"),
    [("munmap", ("x", 1)), ("mmap", (None,)), ("brk", (1 << 32,)), ("setrlimit", (99, 1)), ("touch", (-1 << 40,))],
)
def test_wrong_arguments_are_bad_input(lab, program, name, args):
    p = lab.process(program)
    with pytest.raises(InputError):
        getattr(p, name)(*args)


def test_a_file_of_a_process_that_is_not_there(lab):
    with pytest.raises(InputError, match="process 7"):
        lab.cat("/proc/7/maps")
    with pytest.raises(InputError, match="smaps, status"):
        lab.cat("/proc/7/environ")


def test_answers_show_themselves():
    assert [repr(Answer(n)) for n in (0, 5, 0x8000, -12, -133)] == ["0", "5", "0x8000", "-ENOMEM", "-133"]


def seen(lab, addr):
    """The word that the program reads, or the fault's kind."""
    found = lab.load(addr, privileged=False)
    return found if isinstance(found, int) else found.kind


def test_the_processor_sees_what_the_kernel_has_mapped(lab, program):
    p = lab.process(program)
    addr = p.mmap(0, 4 * 4096)
    p.write(addr, struct.pack("<I", 42))
    lab.switch_to(p)
    assert lab.k.cpus[0].cp15.asid == 1
    assert lab.load(addr).kind == "domain"  # the kernel has closed user pages to itself: CPU_SW_DOMAIN_PAN
    assert seen(lab, addr) == 42
    assert seen(lab, addr + 4096) == "translation"
    assert lab.store(addr, 43, privileged=False) is None
    assert p.read(addr, 4) == struct.pack("<I", 43)

    p.mprotect(addr, 4096, lab.bare["PROT_READ"])
    assert lab.store(addr, 44, privileged=False).kind == "permission"
    p.mprotect(addr, 4096, 3)
    p.touch(addr, write=True)
    assert lab.store(addr, 44, privileged=False) is None

    child = p.fork()
    assert lab.store(addr, 45, privileged=False).kind == "permission"  # of fork(): both read only
    child.write(addr, struct.pack("<I", 1))
    assert seen(lab, addr) == 44
    lab.switch_to(child)
    assert (seen(lab, addr), lab.k.cpus[0].cp15.asid) == (1, 2)
    assert {e.asid for e in lab.k.machine.tlb.entries() if not e.is_global} == {1, 2}
    child.exit()
    assert lab.k.active_mm is None
    assert {e.asid for e in lab.k.machine.tlb.entries() if not e.is_global} == {1}

    lab.switch_to(p)
    p.munmap(addr, 4096)
    assert seen(lab, addr) == "translation"


def test_a_moved_mapping_and_a_copied_page_are_seen_at_once(lab, program):
    p = lab.process(program)
    addr = p.mmap(0, 2 * 4096)
    p.touch(addr)  # the zero page
    lab.switch_to(p)
    assert seen(lab, addr) == 0
    p.write(addr, struct.pack("<I", 7))
    assert seen(lab, addr) == 7
    moved = p.mremap(addr, 8192, 16 * 4096, 1)
    assert moved != addr
    assert (seen(lab, moved), seen(lab, addr)) == (7, "translation")


def test_a_flush_that_munmap_forgets(lab, program):
    p = lab.process(program)
    addr = p.mmap(0, 4096)
    p.write(addr, struct.pack("<I", 42))
    lab.switch_to(p)
    seen(lab, addr)
    with lab.without_flushes():
        p.munmap(addr, 4096)
    assert seen(lab, addr) == 42
    lab.flush_tlb_all()
    assert seen(lab, addr) == "translation"


def test_a_process_without_tables_cannot_run(lab, program):
    p = lab.process(program)
    p.task.mm.pgd_pa = 0
    with pytest.raises(InputError, match="no page tables"):
        lab.switch_to(p)
    with pytest.raises(InputError, match="no process"):
        lab.switch_to(1)


def test_a_copied_machine_runs_its_own_copy_of_the_process(lab, program):
    p = lab.process(program)
    addr = p.mmap(0, 4096)
    p.write(addr, struct.pack("<I", 1))
    lab.switch_to(p)
    assert seen(lab, addr) == 1
    twin = lab.branch()
    assert twin.k.active_mm is twin.ps()[0].task.mm
    assert twin.k.active_mm is not lab.k.active_mm
    twin.ps()[0].munmap(addr, 4096)
    assert seen(twin, addr) == "translation"
    assert seen(lab, addr) == 1
    assert lab.k.machine.tlb.holds(lab.k.cpus[0].cp15, addr)


def test_entries_made_old_or_clean_are_read_again(lab, program, tmp_path):
    p = lab.process(program)
    (tmp_path / "data").write_bytes(bytes(4096))
    fd = p.open(tmp_path / "data", writable=True)
    shared = p.mmap(0, 4096, 3, lab.bare["MAP_SHARED"], fd)
    own = p.mmap(0, 4096)
    for addr in (shared, own):
        p.write(addr, b"x")
    lab.switch_to(p)
    cp15, tlb = lab.k.cpus[0].cp15, lab.k.machine.main_tlb()
    for addr, call in ((shared, lambda: p.msync(shared, 4096, 4)), (own, lambda: p.madvise(own, 4096, 8))):
        seen(lab, addr)
        assert tlb.holds(cp15, addr)
        assert call() == 0
        assert not tlb.holds(cp15, addr)
    assert lab.store(shared, 1, privileged=False).kind == "permission"


def fill(lab, p):
    lab.sysctl("vm.overcommit_memory", 1)
    while True:
        p.write(p.mmap(0, 8 << 20), bytes(8 << 20))


def test_a_process_that_gets_no_page_is_killed(lab, program):
    lab.process(program)
    p = lab.process(program, "hog")
    with pytest.raises(InputError, match=r"process 2: write at 0x[0-9a-f]+: SIGKILL, from the OOM killer"):
        fill(lab, p)
    said = [record.text for record in lab.k.log.records]
    assert any("kswapd is woken for order 0" in text for text in said)
    assert any("Out of memory: Killed process 2 (a.elf)" in text for text in said)
    assert repr(p) == "<process 2: gone, by SIGKILL>"
    with pytest.raises(InputError, match="process 2 is gone: SIGKILL has ended it"):
        p.brk()
    addr = lab.process(program).mmap(0, 8 << 20)
    assert lab.ps()[1].touch(addr, write=True) == ""


def forks(p):
    while True:
        p.fork().task.oom_score_adj = -1000


def test_touch_mlock_and_fork_hear_of_the_end(lab, program):
    lab.process(program)
    lab.sysctl("vm.overcommit_memory", 1)
    p = lab.process(program)
    addr = p.mmap(0, 300 << 20)
    signals = (p.touch(addr + offset, write=True) for offset in range(0, 300 << 20, 4096))
    assert next(filter(None, signals)) == "SIGKILL"
    p = lab.process(program)
    p.setrlimit(8, 0xFFFFFFFF)
    with pytest.raises(InputError, match=r"mlock\(\) does not return: SIGKILL"):
        p.mlock(p.mmap(0, 300 << 20), 300 << 20)
    p = lab.process(program)
    p.write(p.mmap(0, 100 << 20), bytes(100 << 20))
    p.oom_score_adj = -1000
    p.fork()
    p.oom_score_adj = 0
    with pytest.raises(InputError, match=r"fork\(\) does not return: SIGKILL"):
        forks(p)
    assert lab.ps()[-1].task.oom_score_adj == -1000


def test_init_alone_is_not_killed(lab, program):
    with pytest.raises(KernelPanic, match="deadlocked"):
        fill(lab, lab.process(program))


def test_who_is_killed_first_can_be_told(lab, program):
    init, p, other = (lab.process(program) for _ in range(3))
    p.oom_score_adj = -500
    assert (p.oom_score_adj, lab.cat("/proc/2/oom_score_adj"), init.oom_score) == (-500, "-500", 0)
    assert 0 < p.oom_score < other.oom_score < 700
    assert lab.cat("/proc/3/oom_score") == str(other.oom_score)
    assert p.fork().oom_score_adj == -500
    p.task.cap_effective = 0
    p.oom_score_adj = -400
    with pytest.raises(InputError, match="oom_score_adj: -501: -EACCES: only root"):
        p.oom_score_adj = -501
    for wrong in (1001, "x"):
        with pytest.raises(InputError, match="oom_score_adj: "):
            p.oom_score_adj = wrong
    p.task.cap_effective = (1 << 41) - 1
    p.oom_score_adj, other.oom_score_adj = 1000, -100
    with pytest.raises(InputError, match="process 3: write"):
        fill(lab, other)
    assert list(lab.k.processes.ended) == [2, 3]


def test_variables_of_proc_sys_vm(lab):
    assert lab.sysctl("vm.oom_dump_tasks") == 1
    assert lab.sysctl("vm.panic_on_oom", 2) == 2
    assert lab.cat("/proc/sys/vm/panic_on_oom") == "2"
    assert lab.sysctl("overcommit_kbytes", 1000) == 1000
    assert lab.sysctl("vm.overcommit_ratio") == 0
    for name, value in (("vm.panic_on_oom", 3), ("vm.panic_on_oom", "1"), ("vm.nothing", None)):
        with pytest.raises(InputError, match="sysctl: "):
            lab.sysctl(name, value)


def test_shared_anonymous_memory_goes_with_its_last_mapping(lab, program):
    p = lab.process(program)
    room, free = lab.k.processes, lab.nr_free_pages()
    taken = []
    for _ in range(3):
        addr = p.mmap(0, 64 * 4096, 3, lab.bare["MAP_SHARED"] | lab.bare["MAP_ANONYMOUS"])
        p.write(addr, bytes(64 * 4096))
        child = p.fork()
        p.munmap(addr, 32 * 4096)
        p.munmap(addr + 32 * 4096, 32 * 4096)
        assert child.read(addr, 1) == b"\0"
        child.exit()
        lab.drain_all_pages()
        taken.append((room.vm_committed_as, free - lab.nr_free_pages()))
    assert taken[1] == taken[2]


def test_programs_that_fail_to_start_leave_nothing(lab, program):
    good = program.read_bytes()
    bad = program.with_name("bad.elf")
    bad.write_bytes(good[:52] + struct.pack("<8I", 1, 0, 0xC0000000, 0xC0000000, 0x2000, 0x3000, 7, 0x1000) + good[84:])
    lab.process(program).exit()
    left = []
    for _ in range(4):
        with pytest.raises(InputError):
            lab.process(bad)
        lab.k.processes.pages.drain()
        lab.drain_all_pages()
        left.append((lab.k.processes.vm_committed_as, lab.nr_free_pages()))
    assert left[1] == left[2] == left[3]
    assert not lab.ps()


def test_a_program_reads_the_vectors_page_and_writes_it_not(lab, program):
    p = lab.process(program)
    assert len(p.read(0xFFFF0FFC, 4)) == 4
    assert p.touch(0xFFFF0FFC, write=True) == "SIGSEGV"
    assert p.touch(0xC0008000) == "SIGSEGV"


def test_a_file_opened_twice_is_one_file(lab, program, tmp_path):
    (tmp_path / "data").write_bytes(bytes(4096))
    one, other = lab.process(program), lab.process(program)
    shared = lab.bare["MAP_SHARED"]
    addresses = [p.mmap(0, 4096, 3, shared, p.open(tmp_path / "data", writable=True)) for p in (one, other)]
    one.write(addresses[0], b"seen")
    assert other.read(addresses[1], 4) == b"seen"
    for p in (one, other):
        p.touch(0x10000)
    assert one.pfn(0x10000) == other.pfn(0x10000)
    assert len(lab.rmap(one.pfn(0x10000)).splitlines()) == 2


def test_mlock_takes_a_page_out_of_the_vector(lab, program):
    p = lab.process(program)
    addr = p.mmap(0, 4096)
    p.write(addr, b"x")
    assert lab.page_info(p.pfn(addr))["refcount"] == 2
    p.mlock(addr, 4096)  # it comes to its list, and from there into the vector again, for the list of locked pages
    assert lab.page_info(p.pfn(addr))["refcount"] == 2
    lab.k.processes.pages.drain()
    assert lab.page_info(p.pfn(addr))["refcount"] == 1
    assert p.pfn(addr) in lab.k.mm.pgdat.lru.pages("unevictable")
    assert lab.k.mm.pgdat.lru.nr_mlock == 1
    p.munlock(addr, 4096)
    assert p.pfn(addr) in lab.k.mm.pgdat.lru.pages("inactive_anon")
    assert lab.k.mm.pgdat.lru.nr_mlock == 0


def test_advice_moves_pages_between_lists(lab, program):
    p = lab.process(program)
    addr = p.mmap(0, 2 * 4096)
    p.write(addr, b"x")
    p.write(addr + 4096, b"x")
    lru, frames = lab.k.mm.pgdat.lru, [p.pfn(addr), p.pfn(addr + 4096)]
    lab.k.processes.pages.drain()
    assert set(frames) <= set(lru.pages("inactive_anon"))
    assert p.madvise(addr, 4096, lab.bare["MADV_FREE"]) == 0
    lab.k.processes.pages.drain()
    assert frames[0] in lru.pages("inactive_file")  # that is where reclaim looks for it
    assert "LazyFree:              4 kB" in p.smaps
    p.write(addr, b"y")  # it is wanted again, and stays where it is until reclaim comes to it
    assert "LazyFree:              4 kB" not in p.smaps
    assert frames[1] in lru.pages("inactive_anon")
    assert p.madvise(addr + 4096, 4096, lab.bare["MADV_COLD"]) == 0
    assert frames[1] in lru.pages("inactive_anon")


def test_tables_come_from_high_memory_with_highpte(program):
    found = {}
    for highpte in (False, True):
        build = load_build("3G/1G")
        build = build.replace(config=build.config.replace(HIGHPTE=highpte))
        k = bootsim.boot("vexpress.dts", config=build, mem="1G", cmdline="norandmaps")
        p = Session(k, alive.text).process(program)
        addr = p.mmap(0, 4096)
        p.write(addr, b"x")
        word = k.machine.ram.read32(p.task.mm.pgd_pa + 4 * (addr >> 20))
        found[highpte] = word >> 12 >= k.mm.max_low_pfn
    assert found == {False: False, True: True}


def test_what_is_kept_for_the_administrator_is_a_part_of_what_is_free(lab, program):
    lab.process(program)
    room = lab.k.processes
    assert 7000 < room.sysctl_admin_reserve_kbytes == room.sysctl_user_reserve_kbytes < 8192


def faults(lab, name="pgfault"):
    return int(dict(line.split() for line in lab.cat("/proc/vmstat").splitlines())[name])


def test_faults_are_counted(lab, program):
    p = lab.process(program)
    addr = p.mmap(0, 32 * 4096)
    before = faults(lab)
    for page in range(32):
        p.touch(addr + page * 4096, write=True)
        p.touch(addr + page * 4096, write=True)  # there already
    assert faults(lab) == before + 32
    # After fork() the first who writes gets a copy; the other, alone with the old page, keeps it.
    # A vector of new pages, which holds on to them, is emptied by the fifteenth.
    child, reused = p.fork(), faults(lab, "pgreuse")
    child.touch(addr, write=True)
    assert faults(lab, "pgreuse") == reused
    p.touch(addr, write=True)
    assert faults(lab, "pgreuse") == reused + 1


def test_a_page_that_must_be_read_is_a_major_fault(lab, program, tmp_path):
    p = lab.process(program)
    (tmp_path / "data").write_bytes(bytes(128 * 4096))
    fd = p.open(tmp_path / "data")
    file = p.task.files[fd]
    pages = lab.k.processes.pages
    file.f_mapping.page_cache = PageCache(pages, file.f_mapping, 0, False, bytes(128 * 4096))  # nothing is in memory
    addr = p.mmap(0, 128 * 4096, 1, lab.bare["MAP_PRIVATE"], fd, 0)
    major, minor = faults(lab, "pgmajfault"), faults(lab)
    p.touch(addr)
    assert (faults(lab, "pgmajfault"), faults(lab)) == (major + 1, minor + 2)  # it waits for the disk, and comes again
    p.touch(addr + 17 * 4096)  # beyond what the fault mapped around it, and read ahead
    assert (faults(lab, "pgmajfault"), faults(lab)) == (major + 1, minor + 3)
    p.touch(addr + 100 * 4096)  # far from there
    assert (faults(lab, "pgmajfault"), faults(lab)) == (major + 2, minor + 5)


def test_the_most_that_a_process_had_is_remembered(lab, program):
    p = lab.process(program)
    addr = p.mmap(0, 20 * 4096)
    for page in range(20):
        p.touch(addr + page * 4096, write=True)
    most = p.status.grep("VmHWM")
    assert p.madvise(addr, 20 * 4096, 4) == 0  # MADV_DONTNEED
    assert p.status.grep("VmHWM") == most
    assert int(p.status.grep("VmRSS").split()[1]) == int(most.split()[1]) - 80
