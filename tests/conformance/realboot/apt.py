"""Debian's packages through apt, in a configuration of its own: the system's lists and cache stay as they are.

The Debian mirror is the one this machine uses already, whatever the names of its suites.
"""

from __future__ import annotations

import re
import shutil
import subprocess
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from realboot import CannotRunError, StepFailedError

PACKAGE = "linux-source-5.10"
SUITE = "bullseye"
KEYRING = "/usr/share/keyrings/debian-archive-keyring.gpg"
_DEBIAN_SUITE = re.compile(
    r"(stable|oldstable|oldoldstable|testing|unstable|sid|buster|bullseye|bookworm|trixie|forky|duke)"
    r"(-updates|-security|/updates|-proposed-updates|-backports)?/?"
)


@dataclass(frozen=True)
class Source:
    """One line of a sources list: an address and a suite."""

    uri: str
    suite: str
    components: tuple[str, ...]
    signed_by: str | None = None
    trusted: bool = False

    @property
    def is_security(self) -> bool:
        """Whether it holds security updates."""
        return self.suite.rstrip("/").endswith(("-security", "/updates"))


def fetch(cache: Path, mirror: str | None = None) -> Path:
    """The source tree in `cache`, downloaded when it is not there yet. Raises CannotRunError without a mirror."""
    target = cache / PACKAGE
    if (target / "Makefile").is_file():
        return target
    apt = Apt(cache / "apt", mirror)
    apt.update()
    unpack(apt.download(PACKAGE), target)
    shutil.rmtree(apt.folder)
    return target


def system_sources(etc: Path = Path("/etc/apt"), os_release: Path = Path("/etc/os-release")) -> list[Source]:
    """The Debian mirrors of this machine. Raises CannotRunError when it has none, as on Ubuntu."""
    release = read_os_release(os_release.read_text() if os_release.is_file() else "")
    if "ubuntu" in (release.get("ID", ""), *release.get("ID_LIKE", "").split()):
        raise CannotRunError(
            f"Ubuntu's mirrors have no {SUITE}: give a Linux 5.10 source tree with KERNEL_SRC=DIR, "
            "or a Debian mirror with MIRROR=URI"
        )
    found = list(read_sources(etc))
    if not any(is_debian(source) for source in found):
        raise CannotRunError(
            f"no Debian mirror in {etc}: give a Linux 5.10 source tree with KERNEL_SRC=DIR, or a mirror with MIRROR=URI"
        )
    return found


def read_os_release(text: str) -> dict[str, str]:
    """The fields of /etc/os-release."""
    pairs = (line.split("=", 1) for line in text.splitlines() if "=" in line and not line.startswith("#"))
    return {key.strip(): value.strip().strip("\"'") for key, value in pairs}


def read_sources(etc: Path) -> Iterator[Source]:
    """Every binary source of sources.list and sources.list.d, both forms."""
    for path in [etc / "sources.list", *sorted((etc / "sources.list.d").glob("*"))]:
        if not path.is_file():
            continue
        if path.suffix == ".sources":
            yield from parse_deb822(path.read_text(errors="replace"))
        elif path.suffix == ".list":
            yield from parse_one_line(path.read_text(errors="replace"))


def parse_one_line(text: str) -> Iterator[Source]:
    """`deb [option=value ...] URI SUITE COMPONENT ...`, a line each."""
    for line in text.splitlines():
        found = re.fullmatch(r"deb\s+(?:\[([^\]]*)\]\s*)?(\S+)\s+(\S+)((?:\s+\S+)*)\s*", line.split("#")[0].strip())
        if found:
            options = dict(item.split("=", 1) for item in (found[1] or "").split() if "=" in item)
            yield _source(found[2], found[3], found[4].split(), options.get("signed-by"), options.get("trusted"))


def parse_deb822(text: str) -> Iterator[Source]:
    """Stanzas of `Field: value`, with continuation lines and comments between them."""
    lines = [line for line in text.splitlines() if not line.startswith("#")]
    for stanza in re.split(r"\n(?:[ \t]*\n)+", "\n".join(lines)):
        fields = {
            found[1].lower(): found[2].strip()
            for found in re.finditer(r"^([\w-]+):((?:.*)(?:\n[ \t].*)*)", stanza, re.MULTILINE)
        }
        if "deb" not in fields.get("types", "").split() or fields.get("enabled", "yes").lower() in ("no", "false"):
            continue
        for uri in fields.get("uris", "").split():
            for suite in fields.get("suites", "").split():
                components = fields.get("components", "").split()
                yield _source(uri, suite, components, fields.get("signed-by"), fields.get("trusted"))


def _source(uri: str, suite: str, components: Iterable[str], signed_by: str | None, trusted: str | None) -> Source:
    # a key may stand in the stanza itself; then Debian's own keyring is what is needed here
    key = signed_by if signed_by and signed_by.startswith("/") and len(signed_by.split()) == 1 else None
    return Source(uri, suite, tuple(components), key, (trusted or "").lower() in ("yes", "true"))


def is_debian(source: Source) -> bool:
    """Whether this looks like a mirror of Debian itself: a Debian suite with `main`, and debian in the path."""
    if source.uri.startswith("cdrom:") or "main" not in source.components:
        return False
    path = re.sub(r"^[\w+]+:/*[^/]*", "", source.uri)
    keyed = "debian-archive" in (source.signed_by or "")
    return bool(_DEBIAN_SUITE.fullmatch(source.suite)) and (keyed or bool(re.search(r"(^|/)debian", path)))


def bullseye_sources(sources: Iterable[Source]) -> list[str]:
    """Lines of a sources list with bullseye, and bullseye-security where this machine has a security mirror."""
    chosen: dict[bool, Source] = {}
    for source in sources:
        if is_debian(source) or (source.suite == SUITE and source.uri):
            chosen.setdefault(source.is_security, source)
    if False not in chosen:
        raise CannotRunError("no Debian mirror that holds more than security updates: say MIRROR=URI or KERNEL_SRC=DIR")
    lines = []
    for security, source in sorted(chosen.items()):
        options = f"signed-by={source.signed_by or KEYRING}" + (" trusted=yes" if source.trusted else "")
        lines.append(f"deb [{options}] {source.uri} {SUITE}{'-security' if security else ''} main")
    return lines


def configuration(folder: Path, architecture: str | None = None) -> str:
    """An apt.conf that keeps everything apt writes inside `folder`; proxies and credentials stay the system's.

    `architecture` is that of the packages; without one it is the machine's.
    """
    settings = {
        "Dir::Etc::SourceList": f"{folder}/sources.list",
        "Dir::Etc::SourceParts": "/dev/null",
        "Dir::Etc::Preferences": "/dev/null",
        "Dir::Etc::PreferencesParts": "/dev/null",
        "Dir::State::Lists": f"{folder}/lists",
        "Dir::Cache": f"{folder}/cache",
        "APT::Default-Release": "",
        "APT::Sandbox::User": "",
        "Acquire::Languages": "none",
        "Acquire::Check-Valid-Until": "false",
    }
    # hooks of the system's own configuration are not for this
    if architecture is not None:
        # what is installed here is of no concern: nothing is installed
        settings |= {"APT::Architecture": architecture, "Dir::State::status": f"{folder}/status"}
    clear = "#clear APT::Architectures;\n" if architecture is not None else ""
    clear += "#clear APT::Update::Post-Invoke;\n#clear APT::Update::Post-Invoke-Success;\n"
    return "".join(f'{name} "{value}";\n' for name, value in settings.items()) + clear


class Apt:
    """apt for bullseye, with all it keeps in `folder`. Raises CannotRunError without a mirror.

    Packages of another `architecture` come without security updates, which not every mirror has for it.
    """

    def __init__(self, folder: Path, mirror: str | None = None, architecture: str | None = None) -> None:
        for program in ("apt-get", "dpkg-deb", "tar", "xz"):
            if shutil.which(program) is None:
                raise CannotRunError(f"{program} is missing: give a source tree with KERNEL_SRC=DIR")
        sources = bullseye_sources([Source(mirror, SUITE, ("main",))] if mirror else system_sources())
        if architecture is not None:
            sources = [line for line in sources if f"{SUITE}-security" not in line]
        for sub in ("lists/partial", "cache/archives/partial"):
            (folder / sub).mkdir(parents=True, exist_ok=True)
        (folder / "sources.list").write_text("\n".join(sources) + "\n")
        (folder / "status").write_text("")
        self._conf = folder / "apt.conf"
        self._conf.write_text(configuration(folder, architecture))
        self.folder = folder

    def update(self) -> None:
        """Fetch the lists of packages."""
        self._run("apt-get", "update")

    def depends(self, package: str, pattern: str) -> str:
        """The package that `package` depends on and whose name matches `pattern`."""
        found = re.findall(rf"Depends: ({pattern})$", self._run("apt-cache", "depends", package), re.MULTILINE)
        if not found:
            raise StepFailedError(f"{package} depends on no {pattern}")
        return str(found[0])

    def download(self, package: str) -> Path:
        """The newest .deb of a package, in the folder."""
        if not (found := sorted(self.folder.glob(f"{package}_*.deb"))):
            self._run("apt-get", "download", package)
            found = sorted(self.folder.glob(f"{package}_*.deb"))
        if not found:
            raise StepFailedError(f"apt-get downloaded no {package}")
        return found[-1]

    def _run(self, program: str, *arguments: str) -> str:
        # -c is read after the system's files, so it wins
        command = [program, "-q", "-c", str(self._conf), *arguments]
        done = subprocess.run(command, cwd=self.folder, capture_output=True, text=True, check=False)
        problems = [line for line in (done.stderr + done.stdout).splitlines() if line.startswith(("E:", "Err:"))]
        if done.returncode or (arguments[0] == "update" and problems):
            first = problems[0] if problems else done.stderr.strip()[-500:]
            raise StepFailedError(f"{program} {' '.join(arguments)}: {first}")
        return done.stdout


def unpack(package: Path, target: Path) -> None:
    """Unpack the source archive inside the .deb to `target`."""
    work = target.with_name(target.name + ".unpacking")
    shutil.rmtree(work, ignore_errors=True)
    work.mkdir(parents=True)
    try:
        _run(["dpkg-deb", "-x", str(package), str(work)])
        archives = list(work.glob("usr/src/*.tar.*"))
        if len(archives) != 1:
            raise StepFailedError(f"{package.name}: {len(archives)} archives in usr/src, expected one")
        (work / "tree").mkdir()
        _run(["tar", "-xf", str(archives[0]), "-C", str(work / "tree"), "--strip-components=1"])
        (work / "tree").rename(target)
    finally:
        shutil.rmtree(work, ignore_errors=True)


def _run(command: list[str]) -> None:
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise StepFailedError(f"{command[0]}: {done.stderr.strip()[-500:]}")
