"""init/main.c: the command line, from whence it comes to which handler gets what."""

from __future__ import annotations

import pytest

MIB = 1 << 20
RAM = 0x60000000


def memory(k):
    return [(r.base, r.size) for r in k.mm.memblock.memory.regions]


@pytest.mark.parametrize(("cmdline", "banks"), [
    ("mem=64M", [(RAM, 64 * MIB)]),
    ("mem=64M@0x70000000", [(0x70000000, 64 * MIB)]),
    ("mem=64M mem=64M@0x70000000", [(RAM, 64 * MIB), (0x70000000, 64 * MIB)]),
    ("mem=64M mem=64M@0x64000000", [(RAM, 128 * MIB)]),
    # start rounded up, size rounded down: 0x70000400-0x70001c00 holds no whole page, -0x70002400 one
    ("mem=64M mem=0x1800@0x70000400", [(RAM, 64 * MIB)]),
    ("mem=64M mem=0x2000@0x70000400", [(RAM, 64 * MIB), (0x70001000, 0x1000)]),
    ("mem=64k", [(RAM, 0x10000)]), ("mem=0x1000000", [(RAM, 16 * MIB)]), ("mem=64m", [(RAM, 64 * MIB)]),
    ("MEM=64M", [(RAM, 1024 * MIB)]), ("mem =64M", []), ("-- mem=64M", [(RAM, 1024 * MIB)]),
    ('mem="64M"', [(RAM, 64 * MIB)]), ('"mem=64M"', [(RAM, 64 * MIB)]),
])
def test_mem(board, cmdline, banks):
    k = board.boot(cmdline, until="setup_machine_fdt")
    if banks:
        assert memory(k) == banks
    else:
        assert k.panicked.reason is None  # "mem" stands alone


@pytest.mark.parametrize(("cmdline", "words"), [
    ("mem=64M mem=1M@0x100000000", ["Ignoring memory at 0x100000000 outside 32-bit physical address space"]),
    ("mem=64M mem=1G@0xf0000000", ["Truncating memory at 0xf0000000 to fit in 32-bit physical address space"]),
    ("mem=64M mem=512M@0x50000000", ["Ignoring memory below PHYS_OFFSET: 0x50000000-0x60000000"]),
    ("mem=64M mem=16M@0x50000000", ["Ignoring memory below PHYS_OFFSET: 0x50000000-0x51000000"]),
])
def test_mem_says_what_it_passes_over(board, cmdline, words):
    assert board.said(board.boot(cmdline, until="setup_machine_fdt"), "memory at", "PHYS_OFFSET") == words


@pytest.mark.parametrize("option", ["mem", "vmalloc", "initrd", "initrdmem", "kernelcore", "coherent_pool",
                                    "cachepolicy", "ecc", "mitigations"])
def test_options_whose_handler_reads_address_0_without_a_value(board, option):
    k = board.boot(f"console=ttyAMA0 {option}")
    assert k.panicked.reason is None
    assert board.causes(k) == [f"cmdline: {'initrd' if option == 'initrdmem' else option} without a value: the kernel "
                               "reads one at address 0 and faults with no vectors to take it"]


@pytest.mark.parametrize("option", ["cma", "percpu_alloc", "log_buf_len", "loglevel", "init_on_alloc", "movablecore"])
def test_options_that_ask_for_their_value(board, option):
    k = board.boot(option)
    assert board.said(k, "Malformed") == [f"Malformed early option '{option}'"]
    assert board.causes(k) == [f"cmdline: {option}: no value that the kernel understands"]


@pytest.mark.parametrize("option", ["nosmp", "maxcpus", "maxcpus=0", "maxcpus=1", "memblock", "memblock=", "nr_cpus",
                                    "foo", "foo=bar", "dhash_entries", "dhash_entries=", "ihash_entries=", '"'])
def test_options_that_change_nothing_here(board, option):
    plain, k = board.boot("x", until="mem_init"), board.boot(option, until="mem_init")
    assert board.said(k)[:-3] == [line.replace("Kernel command line: x", f"Kernel command line: {option}")
                                  for line in board.said(plain)][:-3]


def test_words_of_other_handlers(board):
    k = board.boot("mitigations=foo bootconfig percpu_alloc=page", build={"BOOT_CONFIG": False},
                   until="setup_machine_fdt")
    assert board.said(k, "mitigations", "bootconfig", "percpu") == [
        "Unsupported mitigations=foo, system may still be vulnerable",
        "WARNING: 'bootconfig' found on the kernel command line but CONFIG_BOOT_CONFIG is not set.",
        "percpu: unknown allocator page specified"]


@pytest.mark.parametrize(("cmdline", "level"), [("loglevel=3", 3), ("loglevel=0x5", 5), ("loglevel=-1", -1),
                                                ("quiet", 4), ("debug", 10), ("loglevel=3 debug", 10),
                                                ("loglevel=x", 7)])
def test_loglevel(board, cmdline, level):
    assert board.boot(cmdline, until="setup_machine_fdt").log.console_loglevel == level


@pytest.mark.parametrize(("arg", "ids"), [("1", 1), ("2", 2), ("0", 8), ("-2", 8), ("9", 8), ("x", 8), ("0x2,3", 2)])
def test_nr_cpus(board, arg, ids):
    assert board.boot(f"nr_cpus={arg}", until="setup_machine_fdt").nr_cpu_ids == ids


@pytest.mark.parametrize(("build", "cmdline"), [
    ({}, "a=1"), ({"CMDLINE": "b=2"}, "a=1"), ({"CMDLINE": "b=2", "CMDLINE_EXTEND": True}, "a=1 b=2"),
    ({"CMDLINE": "b=2", "CMDLINE_FORCE": True}, "b=2")])
def test_the_builds_own_command_line(board, build, cmdline):
    assert board.boot("a=1", build=build, until="setup_machine_fdt").boot_command_line == cmdline


def test_an_empty_bootargs_gives_way_to_the_builds(board):
    assert board.boot("", build={"CMDLINE": "b=2"}, until="setup_machine_fdt").boot_command_line == "b=2"
    extended = board.boot("", build={"CMDLINE": "b=2", "CMDLINE_EXTEND": True}, until="setup_machine_fdt")
    assert extended.boot_command_line == " b=2"


def test_a_long_command_line_is_cut_twice(board):
    # to COMMAND_LINE_SIZE where it is read, with what would have come after it, and to a line of the log
    k = board.boot("y" * 1011 + " vmalloc=256M", until="setup_arch")
    assert len(k.boot_command_line) == 1023
    assert k.boot_command_line.endswith(" vmalloc=256")
    k = board.boot("y" * 2000, until=None)
    assert len(board.said(k, "Kernel command line")[0]) == 989


@pytest.mark.parametrize(("cmdline", "words"), [
    ("init_on_alloc=1", ["WARNING: CPU: 0 PID: 0 at include/linux/jump_label.h:306 static_key_enable",
                         "static_key_enable(): static key 'init_on_alloc+0x0/0x4' used before call to "
                         "jump_label_init()"]),
    ("init_on_free=0", ["WARNING: CPU: 0 PID: 0 at include/linux/jump_label.h:317 static_key_disable",
                        "static_key_disable(): static key 'init_on_free+0x0/0x4' used before call to "
                        "jump_label_init()"]),
    ("kernelcore=101%", ["WARNING: CPU: 0 PID: 0 at mm/page_alloc.c:7632 cmdline_parse_core"])])
def test_warnings_of_the_kernel_about_itself(board, cmdline, words):
    assert board.said(board.boot(cmdline, until="setup_machine_fdt"), "cut here", "WARNING", "static key") == [
        "------------[ cut here ]------------", *words]


@pytest.mark.parametrize(("cmdline", "zones"), [
    ("kernelcore=512M", "Movable"), ("kernelcore=50%", "Movable"), ("movablecore=256M", "Movable"),
    ("movablecore=30%", "Movable"), ("kernelcore=1G", None), ("", None)])
def test_kernelcore_and_movablecore_make_a_zone(board, cmdline, zones):
    k = board.boot(cmdline, until="mem_init")
    assert (next((z["name"] for z in k.zones if z["name"] == "Movable" and z["managed"]), None)) == zones


@pytest.mark.parametrize(("cmdline", "dentries", "inodes"), [
    ("", "131072 (order: 7, 524288", "65536 (order: 6, 262144"),
    ("dhash_entries=100 ihash_entries=1000", "128 (order: -3, 512", "1024 (order: 0, 4096")])
def test_hash_tables(board, cmdline, dentries, inodes):
    assert board.said(board.boot(cmdline, until="mem_init:entry"), "hash table") == [
        f"Dentry cache hash table entries: {dentries} bytes, linear)",
        f"Inode-cache hash table entries: {inodes} bytes, linear)"]


def test_an_initrd_in_highmem_is_an_oops(board):
    initrd = "linux,initrd-start = <0x9e000000>; linux,initrd-end = <0x9e100000>;"
    k = board.boot("vmalloc=800M", chosen=initrd, until=None)
    assert board.said(k)[-4:] == ["8<--- cut here ---",
                                  "Unable to handle kernel paging request at virtual address ee0ffff4",
                                  "Kernel panic - not syncing: Attempted to kill the idle task!",
                                  "---[ end Kernel panic - not syncing: Attempted to kill the idle task! ]---"]


def test_an_initrd_in_memory_that_is_dropped_is_not_said_to_be_above_lowmem(board):
    # as a kernel of bcm2835_defconfig on QEMU's raspi0 died with such a tree
    initrd = "linux,initrd-start = <0x70000000>; linux,initrd-end = <0x70040000>;"
    memory = 'memory@60000000 { device_type = "memory"; reg = <0x60000000 0x20000000>; };'
    holes = "a@70100000 { reg = <0x70100000 0x101000>; no-map; }; b@7fe00000 { reg = <0x7fe00000 0x200000>; no-map; };"
    k = board.boot(config="3G/1G-nohighmem", chosen=initrd, memory=memory, reserved=holes, until=None)
    assert "Unable to handle kernel paging request at virtual address d003fff4" in board.said(k)
    assert board.causes(k)[-1].endswith("puts the initrd at 0x70000000, in a part of lowmem that the kernel has "
                                        "dropped or may not use: the kernel reads it where nothing is mapped")


@pytest.mark.parametrize(("cmdline", "build", "words"), [
    ("oops=panic", {}, "Fatal exception"), ("", {"PANIC_ON_OOPS": True}, "Fatal exception"),
    ("oops=other", {}, "Attempted to kill the idle task!")])
def test_an_oops_that_is_a_panic_says_so(board, cmdline, build, words):
    initrd = "linux,initrd-start = <0x9e000000>; linux,initrd-end = <0x9e100000>;"
    k = board.boot(f"vmalloc=800M {cmdline}", chosen=initrd, build=build, until=None)
    assert board.said(k)[-2:] == [f"Kernel panic - not syncing: {words}",
                                  f"---[ end Kernel panic - not syncing: {words} ]---"]


def test_mem_where_the_board_has_none(board):
    k = board.boot("mem=64M mem=64M@0xd0000000", until="setup_machine_fdt")
    assert [r.text for r in k.log.records if r.level == 4 and not r.kernel] == [
        "bootsim: cmdline: mem=: not all of 0xd0000000-0xd3ffffff is RAM; the kernel will use it all the same"]


def test_memblock_debug_starts_where_it_stands(board):
    k = board.boot("mem=512M memblock=debug mem=64M@0x40000000 mem=64M@0x90000000", until="setup_machine_fdt")
    assert board.said(k, "memblock_") == ["memblock_add: [0x90000000-0x93ffffff] arm_add_memory"]


# ---------------------------------------------------------------- the end of the boot


INITRD = "linux,initrd-start = <0x70000000>; linux,initrd-end = <0x70100000>;"


@pytest.mark.parametrize(("cmdline", "freed"), [("", 1), ("keepinitrd", 0), ("keepinitrd=0", 0), ("retain_initrd", 0),
                                                ("retain_initrd=1", 1), ("noinitrd", 1)])
def test_the_initrd_is_freed_or_kept(board, cmdline, freed):
    k = board.boot(cmdline, chosen=INITRD, until=None)
    assert board.said(k, "Freeing initrd") == ["Freeing initrd memory: 1024K"] * freed
    assert board.said(k, "Unpacking") == ["Unpacking initramfs..."]


def test_a_build_with_ram_disks_tries_to_unpack_the_initrd(board):
    k = board.boot(build={"BLK_DEV_RAM": True}, chosen=INITRD, until=None)
    assert board.said(k, "Trying to unpack") == ["Trying to unpack rootfs image as initramfs..."]
    assert not board.said(k, "Unpacking")


def test_nothing_is_unpacked_without_an_initrd(board):
    assert not board.said(board.boot(until=None), "Unpacking")


@pytest.mark.parametrize(("value", "on"), [("on", True), ("off", False), ("OFF", False), ("0", False), ("no", False),
                                           ("Nope", False), ("y", True), ("1", True), ("x", True), ("", True)])
def test_rodata_in_every_spelling(board, value, on):
    k = board.boot(f"rodata={value}", until=None)
    assert bool(board.said(k, "Kernel memory protection disabled.")) is not on
    assert board.said(k, "Invalid option") == [f"Invalid option string for rodata: '{value}'"] * (value in ("x", ""))
    code = k.translate(k.build.symbols.stext, "write")
    assert bool(code) is not on


def test_a_kernel_without_protection_says_so(board):
    k = board.boot("rodata=on", build={"STRICT_KERNEL_RWX": False}, until=None)
    assert board.said(k)[-1] == "Kernel memory protection not selected by kernel config."


@pytest.mark.parametrize(("cmdline", "cpus"), [("", 4), ("maxcpus=2", 2), ("maxcpus=1", 1), ("maxcpus=0", 1),
                                               ("nosmp", 1), ("maxcpus=x", 1), ("maxcpus", 4), ("maxcpus=9", 4)])
def test_how_many_processors_are_started(board, cmdline, cpus):
    nodes = "".join(f'cpu@{n} {{ device_type = "cpu"; compatible = "arm,cortex-a9"; reg = <{n}>; }};' for n in range(4))
    cpu_nodes = f"\tcpus {{ #address-cells = <1>; #size-cells = <0>; {nodes} }};\n"
    assert board.boot(cmdline, cpu_nodes, smp=4, until=None).nr_online_cpus == cpus


@pytest.mark.parametrize(("many", "kind"), [("".join(f" v{n}=1" for n in range(32)), "env"),
                                            ("".join(f" w{n}" for n in range(33)), "init"),
                                            (" --" + "".join(f" w{n}" for n in range(33)), "init")])
def test_too_many_words_for_init_are_a_panic(board, many, kind):
    last = many.split()[-1]
    k = board.boot(many, until=None)
    assert k.panicked.reason == f"Too many boot {kind} vars at `{last}'"
    assert k.panicked.cause.startswith("cmdline: more words")
    assert board.boot(many.removesuffix(" " + last), until=None).panicked is None
    assert board.boot(many, build={"INIT_ENV_ARG_LIMIT": 40}, until=None).panicked is None


def test_init_throws_away_the_words_before_it(board):
    words = "".join(f" w{n}" for n in range(32))
    assert board.boot(words + " init=/bin/sh more", until=None).panicked is None
    assert board.boot(words + " more", until=None).panicked is not None


def test_a_variable_of_init_given_twice_counts_once(board):
    assert board.boot("".join(f" v{n}=1" for n in range(31)) + " v3=2", until=None).panicked is None


# ---------------------------------------------------------------- what nobody took


def unused(k):
    return [r.text.removeprefix("bootsim: unused: ") for r in k.log.records if r.text.startswith("bootsim: unused:")]


def test_one_line_names_the_words_that_no_handler_took(board):
    k = board.boot("console=ttyAMA0 root=/dev/sda quiet foo a=b cma=16M crashkernel=64M brcm.x=1 memmap=1M@0 -- own",
                   build={"DMA_CMA": False, "KEXEC": False}, until=None)
    assert unused(k) == ["cmdline: foo (handed to init), a=b (handed to init), cma=16M (CONFIG_DMA_CMA is not set), "
                         "crashkernel=64M (CONFIG_KEXEC is not set), brcm.x=1 (a module's), memmap=1M@0 (handed to "
                         "init)"]


def test_nothing_is_said_when_every_word_was_taken(board):
    k = board.boot("console=ttyAMA0 loglevel=8 rw init=/bin/sh ip=dhcp mtdparts=x:1M(a) panic=5 noinitrd", until=None)
    assert unused(k) == []


@pytest.mark.parametrize(("nodes", "tree", "line"), [
    ("memory@a0000000 { reg = <0xa0000000 0x1000000>; };", {},
     '/memory@a0000000 reg: not added: the node has no device_type = "memory"'),
    ('memory@a0000000 { device_type = "memory"; status = "disabled"; reg = <0xa0000000 0x1000000>; };', {},
     "/memory@a0000000 status: memory that is not available is added all the same"),
    ('memory@a0000000 { device_type = "memory"; reg = <0xa0000000 0x2000000>; '
     "linux,usable-memory = <0xa0000000 0x1000000>; };", {},
     "/memory@a0000000 reg: linux,usable-memory goes before it"),
    ("reserved-memory@0 { #address-cells = <1>; #size-cells = <1>; ranges; };", {},
     "/reserved-memory@0: nothing is reserved: only a node called /reserved-memory is read"),
    ('ramoops@8f000000 { compatible = "ramoops"; reg = <0x8f000000 0x100000>; };', {},
     "/ramoops@8f000000: nothing is reserved for it: it does not lie in /reserved-memory"),
    ("", {"chosen": "linux,uefi-system-table = <0 1>;"},
     "/chosen linux,uefi-system-table: CONFIG_EFI is not set"),
    ("", {"reserved": "a { };"}, "/reserved-memory/a: nothing is reserved: neither reg nor size"),
    ("", {"reserved": 'a@70000000 { reg = <0x70000000 0x1000>; status = "disabled"; };'},
     "/reserved-memory/a@70000000 status: nothing is reserved"),
    ("", {"reserved": "a@70000000 { reg = <0x70000000 0x1000>; size = <0x2000>; };"},
     "/reserved-memory/a@70000000 size: reg goes before it"),
    ("", {"reserved": "a@70000000 { reg = <0x70000000 0x1000>; reusable; };"},
     "/reserved-memory/a@70000000 reusable: means something in a shared-dma-pool alone"),
    ("", {"chosen": "linux,usable-memory-range = <0x60000000 0x1000000>;"},
     "/chosen linux,usable-memory-range: a 5.10 kernel for ARM does not read it"),
    ("", {"chosen": "linux,initrd-start = <0x70000000>;"},
     "/chosen linux,initrd-start: the other end of the initrd is missing"),
])
def test_parts_of_the_tree_that_the_kernel_passes_over(board, nodes, tree, line):
    k = board.boot("", nodes, until=None, **tree)
    assert [text.partition(" ")[2] for text in unused(k)] == [line]


def test_what_was_passed_over_is_told_of_a_kernel_that_died_too(board):
    k = board.boot("mem", "memory@a0000000 { reg = <0xa0000000 0x1000000>; };", until=None)
    assert k.panicked is not None
    assert any("no device_type" in text for text in unused(k))
