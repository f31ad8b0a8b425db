"""bootsim's compiler against the kernel's: `cpp | dtc` with the flags of scripts/Makefile.lib.

dtc's blobs are kept in a cache, by the hash of the preprocessed text, dtc's version and its flags.
"""

from __future__ import annotations

import hashlib
import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from boards import CannotRunError
from bootsim.inputs.dtb import read_header, read_tree

IDENTICAL, EQUAL, DIFFERS = "identical", "equal", "differs"
_FLAGS = ("-O", "dtb", "-b", "0", "-Wno-unit_address_vs_reg", "-q")


class CompilerRefusedError(Exception):
    """cpp or dtc does not take a tree; the text is theirs."""


@dataclass(frozen=True)
class Dtc:
    """The programs, the kernel tree they read, and the cache."""

    dtc: str
    cpp: str
    version: str
    kernel_src: Path
    cache: Path

    def compile(self, dts: Path) -> bytes:
        """The blob that the kernel's build would make of a tree. Raises CompilerRefusedError."""
        includes = self.kernel_src / "scripts/dtc/include-prefixes"
        text = _run(
            [self.cpp, "-nostdinc", f"-I{includes}", "-undef", "-D__DTS__", "-x", "assembler-with-cpp", str(dts)], b""
        )
        key = hashlib.sha256(repr((self.version, _FLAGS)).encode() + text).hexdigest()[:32]
        kept = self.cache / key[:2] / f"{key}.dtb"
        if kept.is_file():
            return kept.read_bytes()
        blob = _run([self.dtc, "-I", "dts", *_FLAGS, f"-i{dts.parent}", f"-i{includes}", "-o", "-", "-"], text)
        kept.parent.mkdir(parents=True, exist_ok=True)
        partial = kept.with_suffix(f".{dts.name}.part")
        partial.write_bytes(blob)
        partial.rename(kept)
        return blob


def find_dtc(kernel_src: Path, cache: Path, dtc: str = "dtc", cpp: str = "cpp") -> Dtc:
    """Look for the programs. Raises CannotRunError when one is missing."""
    for program, package in ((dtc, "device-tree-compiler"), (cpp, "cpp")):
        if shutil.which(program) is None:
            raise CannotRunError(f"{program} is missing (apt-get install {package})")
    version = subprocess.run([dtc, "--version"], check=False, capture_output=True, text=True).stdout.strip()
    return Dtc(dtc, cpp, version, kernel_src, cache)


def compare(ours: bytes, theirs: bytes) -> tuple[str, str]:
    """(IDENTICAL, EQUAL or DIFFERS, what differs first). EQUAL: nodes, properties, values and their order."""
    if ours == theirs:
        return IDENTICAL, ""
    reserved = read_tree(ours).reservations, read_tree(theirs).reservations
    if reserved[0] != reserved[1]:
        return DIFFERS, f"memory reservations are {reserved[0]}, dtc has {reserved[1]}"
    mine, its = list(_items(ours)), list(_items(theirs))
    for one, other in zip(mine, its, strict=False):
        if one != other:
            return DIFFERS, f"{_shown(one)}, dtc has {_shown(other)}"
    if len(mine) != len(its):
        return DIFFERS, f"{len(mine)} nodes and properties, dtc has {len(its)}"
    headers = read_header(ours), read_header(theirs)
    names = [n for n, a, b in zip(headers[0]._fields, *headers, strict=True) if a != b]
    return EQUAL, f"laid out otherwise ({', '.join(names) or 'same header'})"


def _items(blob: bytes) -> Iterator[tuple[str, str, bytes]]:
    # every node, then its properties, in the blob's order
    for path, node in read_tree(blob).walk():
        yield path, "", b""
        for name, value in node.props:
            yield path, name, value


def _shown(item: tuple[str, str, bytes]) -> str:
    path, name, value = item
    return f"{path} {name} [{value[:32].hex(' ')}{' ...' if len(value) > 32 else ''}]" if name else f"node {path}"


def _run(command: list[str], text: bytes) -> bytes:
    done = subprocess.run(command, check=False, input=text, capture_output=True)
    if done.returncode:
        words = done.stderr.decode(errors="replace").strip().splitlines()
        raise CompilerRefusedError(f"{Path(command[0]).name}: {words[-1] if words else f'exit {done.returncode}'}")
    return done.stdout
