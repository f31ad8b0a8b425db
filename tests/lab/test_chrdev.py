"""Drivers of character devices at the prompt, and a process's own page tables."""

import pytest

import bootsim
from bootsim.errors import BootsimError, InputError
from bootsim.lab.session import Session
from bootsim.linux.fs.char_dev import CharDevice
from bootsim.views import alive

PAGE = 4096


@pytest.fixture
def lab():
    lab = Session(bootsim.boot("vexpress.dts", config="3G/1G", mem="256M", cmdline="norandmaps"), alive.text)
    lab.names()
    return lab


class Faulting(CharDevice):
    answer = 0
    page = None

    def mmap(self, _file, vma):
        vma.vm_ops = self.vm_ops
        return 0

    def fault(self, vmf):
        vmf.page = self.page
        return self.answer


def mapped(lab, device):
    assert lab.register_chrdev(240, "dev", device) == 0
    p = lab.process()
    return p, p.mmap(0, PAGE, 3, 1, p.open("/dev/dev", writable=True))


def test_numbers_and_names_are_given_once(lab):
    assert lab.register_chrdev(240, "dev", Faulting()) == 0
    assert lab.register_chrdev(240, "other", Faulting()) == -16
    assert lab.register_chrdev(512, "other", Faulting()) == -22
    assert lab.k.log.records[-2].text == 'CHRDEV "other" major requested (512) is greater than the maximum (511)'
    with pytest.raises(InputError, match="CharDevice"):
        lab.register_chrdev(241, "other", object())
    lab.unregister_chrdev(240, "dev")
    assert lab.register_chrdev(240, "other", Faulting()) == 0


def test_number_0_is_a_free_one(lab):
    assert lab.register_chrdev(253, "dev", Faulting()) == 0
    found = [lab.register_chrdev(0, f"dev{n}", Faulting()) for n in range(149)]
    assert found[:3] == [254, 252, 251]
    assert found[19:22] == [234, 511, 510]
    assert found[-2:] == [384, -16]


@pytest.mark.parametrize(("major", "name"), [("x", "dev"), (-1, "dev"), (True, "dev"), (240, 5), (240, ""),
                                             (240, "a/b"), (240, ".."), (240, "a\nb")])
def test_what_is_no_number_or_name(lab, major, name):
    with pytest.raises(InputError, match=r"register_chrdev: .* is no n"):
        lab.register_chrdev(major, name, Faulting())


def test_what_is_no_mapping(lab):
    for call in (lab.remap_pfn_range, lab.vm_insert_page):
        with pytest.raises(InputError, match="None is no mapping"):
            call(None, 0, 0x60000, *([PAGE, 3] if call is lab.remap_pfn_range else []))


def test_what_a_driver_answers_to_open(lab):
    class Refuses(CharDevice):
        def open(self, _file):
            return self.answer

    device = Refuses()
    lab.register_chrdev(240, "dev", device)
    p = lab.process()
    device.answer = -16
    assert repr(p.open("/dev/dev")) == "-EBUSY"
    device.answer = "x"
    with pytest.raises(InputError, match=r"Refuses.open\(\) answers 'x'"):
        p.open("/dev/dev")


def test_a_branch_says_whose_machine_a_driver_is_bound_to(lab):
    lab.process()
    assert "first machine" not in lab.branch().k.log.records[-1].text
    lab.register_chrdev(240, "dev", Faulting())
    said = "bootsim: warning: bare names in the driver of /dev/dev are those of the first machine"
    assert lab.branch().k.log.records[-1].text == said
    assert lab.k.log.records[-1].text != said


def test_finish_fault_hands_over_the_drivers_reference(lab):
    device = Faulting()
    device.page = lab.alloc_page(lab.GFP_KERNEL)
    p, addr = mapped(lab, device)
    lab.get_page(device.page)
    p.write(addr, b"x")
    assert (p.pfn(addr), device.page.refcount) == (device.page.pfn, 2)
    p.exit()
    assert device.page.refcount == 1


@pytest.mark.parametrize(("answer", "page", "told"), [(0, None, "vmf.page"), (0x100, None, "for ever"),
                                                      (None, None, "answers None"), (0, 5, "pfn 0x5")])
def test_what_a_handler_gets_wrong_is_bad_input(lab, answer, page, told):
    device = Faulting()
    device.answer, device.page = answer, page
    p, addr = mapped(lab, device)
    with pytest.raises(BootsimError, match=told):
        p.touch(addr)


def test_sigbus(lab):
    device = Faulting()
    device.answer = lab.VM_FAULT_SIGBUS
    p, addr = mapped(lab, device)
    assert p.touch(addr) == "SIGBUS"


def test_a_handler_without_memory(lab):
    device = Faulting()
    device.answer = lab.VM_FAULT_OOM | lab.VM_FAULT_SIGBUS
    p, addr = mapped(lab, device)
    assert p.touch(addr) == "SIGKILL"
    assert "Huh VM_FAULT_OOM leaked out to the #PF handler. Retrying PF" in [r.text for r in lab.k.log.records]
    with pytest.raises(InputError, match="SIGKILL"):
        p.maps  # noqa: B018


def test_a_device_without_functions(lab):
    p, addr = mapped(lab, CharDevice())
    fd = p.open("/dev/dev")
    assert [repr(x) for x in (addr, p.pread(fd, 1), p.pwrite(fd, b"x"), p.pread(99, 1))] == [
        "-ENODEV", "-EINVAL", "-EBADF", "-EBADF"]


def test_a_file_is_read_and_written_through_its_mapping(lab, tmp_path):
    (tmp_path / "data").write_bytes(b"a" * 5000)
    p = lab.process()
    fd = p.open(tmp_path / "data", writable=True)
    addr = p.mmap(0, 2 * PAGE, 3, 1, fd)
    assert p.pwrite(fd, b"xyz", PAGE - 1) == 3
    assert p.read(addr + PAGE - 1, 4) == b"xyza"
    p.write(addr, b"q")
    assert p.pread(fd, 2) == b"qa"
    assert p.pread(fd, 100, 4999) == b"a"


def test_positions_in_a_file(lab, tmp_path):
    (tmp_path / "data").write_bytes(b"data")
    p = lab.process()
    fd = p.open(tmp_path / "data", writable=True)
    assert [repr(x) for x in (p.pread(fd, 4, -1), p.pwrite(fd, b"x", -1), p.pwrite(fd, b"x", 1 << 60))] == [
        "-EINVAL", "-EINVAL", "-EFBIG"]
    assert p.pread(fd, 4, 1 << 60) == b""
    for wrong in ("x", 1.5, True, None, 1 << 63):
        with pytest.raises(InputError, match="no position"):
            p.pread(fd, 4, wrong)
        with pytest.raises(InputError, match="no position"):
            p.pwrite(fd, b"x", wrong)


def test_files_of_the_host_have_an_end(lab, tmp_path):
    p = lab.process()
    for call in (p.open, lab.process, lab.insmod):
        for wrong in ("/dev/zero", tmp_path):
            with pytest.raises(InputError, match="no regular file"):
                call(wrong)
        for wrong in (5, "a\0b", None if call != lab.process else b"a", "/nowhere"):
            with pytest.raises(InputError, match=r"no name of a file|No such file"):
                call(wrong)


def test_vtop_of_a_process(lab):
    p = lab.process()
    addr = p.mmap(0, PAGE)
    assert "(not mapped)" in p.vtop(addr)
    p.write(addr)
    assert f"{addr:<8x}  {p.pfn(addr) << 12:x}" in p.vtop(addr)
    assert "(not mapped)" in lab.vtop(addr)
    assert lab.vtop(0xC0008000, p).splitlines()[1] == lab.vtop(0xC0008000).splitlines()[1]
    p.exit()
    with pytest.raises(InputError):
        lab.vtop(addr, p)


def test_grep(lab):
    assert lab.cat("/proc/buddyinfo").grep("Normal").startswith("Node 0")
    with pytest.raises(InputError, match="grep"):
        lab.cat("/proc/buddyinfo").grep("(")


@pytest.mark.parametrize(("change", "kind"), [
    ("pgprot_noncached", "strongly-ordered"), ("pgprot_writecombine", "normal non-cacheable"),
    ("pgprot_device", "device"), (None, "normal write-back write-allocate"),
])  # fmt: skip
def test_a_driver_chooses_the_type_of_memory(lab, change, kind):
    class Registers(CharDevice):
        def mmap(self, _file, vma):
            if change:
                vma.vm_page_prot = getattr(lab, change)(vma.vm_page_prot)
            return lab.remap_pfn_range(vma, vma.vm_start, 0x10009, PAGE, vma.vm_page_prot)

    p, addr = mapped(lab, Registers())
    assert p.pfn(addr) == 0x10009
    assert p.vtop(addr).grep("TEX").split(maxsplit=3)[3] == kind


def test_an_entry_that_lets_nobody_pass_ends_the_program(lab):
    class Hidden(CharDevice):
        def mmap(self, _file, vma):
            return lab.bare["remap_pfn_range"](vma, vma.vm_start, 0x10000, PAGE, lab.bare["PAGE_KERNEL"]())

    lab.process()  # init, whose end would be the kernel's
    p, addr = mapped(lab, Hidden())
    assert p.touch(addr) == "SIGKILL"
    assert any("would fault for ever, and is ended" in record.text for record in lab.k.log.records)


def test_a_file_is_not_read_as_zeroes_for_want_of_memory(lab):
    class Full:
        """A page cache without memory for what the disk has from page 1 on."""

        def frame(self, _index):
            return None

        def holds(self, index):
            return index > 0

        def write(self, _first, _count):
            pass

    p = lab.process()
    fd = p.open(__file__, writable=True)
    file = p.task.files[fd]
    file.f_inode.i_size = 3 * PAGE
    file.f_mapping.page_cache = Full()
    assert p.pread(fd, 2 * PAGE) == bytes(PAGE)  # a hole
    assert p.pread(fd, PAGE, PAGE) == -12
    assert p.pwrite(fd, b"x", 5 * PAGE) == -12
    assert file.f_inode.i_size == 3 * PAGE
