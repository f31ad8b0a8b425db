"""Finding the Debian mirror of a machine, and the apt configuration made from it."""

import pytest
from realboot import CannotRunError, apt

DEB822 = """\
Types: deb
# http://mirror.example/archive/20250520
URIs: http://mirror.example/debian
Suites: bookworm bookworm-updates
Components: main contrib
Signed-By: /usr/share/keyrings/debian-archive-keyring.gpg

Types: deb
URIs: http://mirror.example/debian-security
Suites: bookworm-security
Components: main
Signed-By: /usr/share/keyrings/debian-archive-keyring.gpg

Enabled: no
Types: deb
URIs: http://off.example/debian
Suites: bookworm
Components: main

Types: deb-src
URIs: http://sources.example/debian
Suites: bookworm
Components: main

Types: deb
URIs: https://vendor.example/apt
Suites: nodistro
Components: main
Signed-By:
 -----BEGIN PGP PUBLIC KEY BLOCK-----
 .
 abcdef
 -----END PGP PUBLIC KEY BLOCK-----
"""

ONE_LINE = """\
# deb http://commented.example/debian bookworm main
deb cdrom:[Debian GNU/Linux 11]/ bullseye main
deb [arch=amd64 signed-by=/k.gpg trusted=yes] http://mirror.example/debian/ stable main non-free  # the mirror
deb-src http://mirror.example/debian/ stable main
deb https://vendor.example/linux/debian bookworm stable
deb http://mirror.example/debian-security stable-security main
"""

KEY = f"signed-by={apt.KEYRING}"


def test_deb822_has_a_source_for_every_address_and_suite_that_is_on():
    found = [(source.uri, source.suite, source.signed_by) for source in apt.parse_deb822(DEB822)]
    assert found == [
        ("http://mirror.example/debian", "bookworm", apt.KEYRING),
        ("http://mirror.example/debian", "bookworm-updates", apt.KEYRING),
        ("http://mirror.example/debian-security", "bookworm-security", apt.KEYRING),
        ("https://vendor.example/apt", "nodistro", None),
    ]


def test_bullseye_comes_from_the_mirrors_that_are_there():
    assert apt.bullseye_sources(apt.parse_deb822(DEB822)) == [
        f"deb [{KEY}] http://mirror.example/debian bullseye main",
        f"deb [{KEY}] http://mirror.example/debian-security bullseye-security main",
    ]


def test_one_line_sources_with_options_and_comments():
    assert apt.bullseye_sources(apt.parse_one_line(ONE_LINE)) == [
        "deb [signed-by=/k.gpg trusted=yes] http://mirror.example/debian/ bullseye main",
        f"deb [{KEY}] http://mirror.example/debian-security bullseye-security main",
    ]


@pytest.mark.parametrize(("line", "is_debian"), [
    ("deb http://a.example/debian bookworm main", True),
    ("deb http://a.example/pub/debian/ trixie main", True),
    ("deb mirror+file:/etc/apt/mirrors/debian.list bookworm main", True),
    ("deb [signed-by=/usr/share/keyrings/debian-archive-keyring.gpg] http://a.example/deb sid main", True),
    ("deb http://a.example/archive/debian/20240101T000000Z/ bullseye main", True),
    ("deb http://debian.example/php bookworm main", False),
    ("deb http://a.example/debian bookworm-pgdg main", False),
    ("deb http://a.example/linux/debian bookworm stable", False),
    ("deb http://a.example/ubuntu noble main", False),
    ("deb cdrom:[Debian]/debian bookworm main", False),
])  # fmt: skip
def test_a_vendor_is_no_debian_mirror(line, is_debian):
    (source,) = apt.parse_one_line(line)
    assert apt.is_debian(source) is is_debian


def test_a_mirror_with_only_security_updates_is_not_enough():
    with pytest.raises(CannotRunError, match="MIRROR=URI"):
        apt.bullseye_sources(apt.parse_one_line("deb http://a.example/debian-security bookworm-security main"))


@pytest.mark.parametrize("release", ["ID=ubuntu\n", 'ID=linuxmint\nID_LIKE="ubuntu debian"\n'])
def test_ubuntu_is_told_what_to_do(tmp_path, release):
    (tmp_path / "os-release").write_text(release)
    (tmp_path / "sources.list").write_text("deb http://a.example/ubuntu noble main\n")
    with pytest.raises(CannotRunError, match="KERNEL_SRC=DIR"):
        apt.system_sources(tmp_path, tmp_path / "os-release")


def test_both_forms_of_sources_are_read_and_others_passed_over(tmp_path):
    (tmp_path / "os-release").write_text('ID=debian\nVERSION_CODENAME="bookworm"\n')
    parts = tmp_path / "sources.list.d"
    parts.mkdir()
    (tmp_path / "sources.list").write_text("deb http://one.example/debian bookworm main\n")
    (parts / "debian.sources").write_text(DEB822)
    (parts / "off.list.disabled").write_text("deb http://two.example/debian bookworm main\n")
    uris = [source.uri for source in apt.system_sources(tmp_path, tmp_path / "os-release")]
    assert uris[:2] == ["http://one.example/debian", "http://mirror.example/debian"]
    assert not any("two.example" in uri for uri in uris)


def test_a_machine_without_mirror_is_told_so(tmp_path):
    with pytest.raises(CannotRunError, match="no Debian mirror"):
        apt.system_sources(tmp_path, tmp_path / "os-release")


def test_apt_writes_only_below_its_own_folder(tmp_path):
    text = apt.configuration(tmp_path)
    for setting in ("Dir::Etc::SourceList", "Dir::State::Lists", "Dir::Cache"):
        assert f'{setting} "{tmp_path}/' in text
    assert 'Dir::Etc::SourceParts "/dev/null";' in text
