"""Debian's kernel: what is taken out of its packages, and how apt is asked for them."""

import pytest
from realboot import StepFailedError, apt, debian, kernels

RELEASE = "5.10.0-32-armmp"


@pytest.fixture
def unpacked(tmp_path):
    image, debug = tmp_path / "image", tmp_path / "debug"
    for path in (image / f"boot/config-{RELEASE}", image / f"boot/vmlinuz-{RELEASE}",
                 image / f"usr/lib/linux-image-{RELEASE}/am335x-bone.dtb",
                 debug / f"usr/lib/debug/boot/vmlinux-{RELEASE}", debug / f"usr/lib/debug/boot/System.map-{RELEASE}"):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(path.name)
    return image, debug


def test_packages_become_a_build_directory(unpacked, tmp_path):
    debian.lay_out(*unpacked, RELEASE, tmp_path / "build")
    build = kernels.Build("debian", tmp_path / "build")
    assert all((build.directory / name).is_file() for name in kernels.IMAGES)
    assert build.dtb("am335x-bone.dtb").read_text() == "am335x-bone.dtb"


def test_packages_without_a_part_are_named(unpacked, tmp_path):
    (unpacked[1] / f"usr/lib/debug/boot/System.map-{RELEASE}").unlink()
    with pytest.raises(StepFailedError, match=f"System.map-{RELEASE} is not in Debian's packages of {RELEASE}"):
        debian.lay_out(*unpacked, RELEASE, tmp_path / "build")


def test_apt_for_another_architecture(tmp_path):
    own, other = apt.configuration(tmp_path), apt.configuration(tmp_path, "armhf")
    assert "APT::Architecture" not in own
    assert 'APT::Architecture "armhf";' in other
    assert f'Dir::State::status "{tmp_path}/status";' in other


def test_the_package_behind_a_name(tmp_path, monkeypatch):
    said = "linux-image-armmp\n  Depends: linux-base\n  Depends: linux-image-5.10.0-32-armmp\n"
    monkeypatch.setattr(apt.Apt, "_run", lambda self, *arguments: said)
    monkeypatch.setattr(apt.shutil, "which", lambda program: program)
    found = apt.Apt(tmp_path, "http://mirror/debian", "armhf")
    assert found.depends("linux-image-armmp", r"linux-image-5\.10\.[\w.-]+") == "linux-image-5.10.0-32-armmp"
    assert "security" not in (tmp_path / "sources.list").read_text()
    with pytest.raises(StepFailedError, match="depends on no linux-image-6"):
        found.depends("linux-image-armmp", "linux-image-6.+")
