"""Plain command lines of `bootsim boot`, read without click.

    bootsim boot TREE --option value --option=value --flag

What is anything else (another command, help, an unknown word, a value that is wrong or starts with "-", an option given
twice) is left to click, which finds the words for it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from bootsim.cli.values import file_at
from bootsim.sizes import address, size, size_at

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

COMPLETE = "_BOOTSIM_COMPLETE"  # what a shell sets when it asks for completions


class Option(NamedTuple):
    """One option: the argument it gives, what makes a value of its text, its default, and whether it may come often.

    Without `read` it is a flag, whose `default` is turned.
    """

    name: str
    read: Callable[[str], Any] | None = None
    default: Any = None
    many: bool = False


def _one_of(*words: str) -> Callable[[str], str]:
    def read(text: str) -> str:
        if text not in words:
            raise ValueError(text)
        return text

    return read


def _processors(text: str) -> int:
    count = int(text)
    if not 1 <= count <= 32:
        raise ValueError(text)
    return count


def _stage(text: str) -> str:
    from bootsim.stages import STAGES

    return _one_of(*STAGES)(text)


def _loader(text: str) -> str:
    from bootsim.inputs.bootloader import is_loader

    if not is_loader(text):
        raise ValueError(text)
    return text


_TREE = Option("tree", str)
# What `boot` and `input_options` tell click, told once more; tests hold the two against one another.
OPTIONS = {
    "--config": Option("config", str, "3G/1G"),
    "--slab": Option("slab", _one_of("slab", "slub", "slob")),
    "--mem": Option("mem", size),
    "--smp": Option("smp", _processors),
    "--cmdline": Option("cmdline", str),
    "--bootloader": Option("bootloader", _loader, "none"),
    "--uboot": Option("uboot", str, (), many=True),
    "--atags": Option("atags", str),
    "--efi-memmap": Option("efi_memmap", str),
    "--dtb-addr": Option("dtb_addr", address),
    "--load-addr": Option("load_addr", address),
    "--ram": Option("ram", size_at),
    "--cpu": Option("cpu", str, (), many=True),
    "--soc": Option("soc", str, (), many=True),
    "--initrd": Option("initrd", file_at),
    "-I": Option("include_dirs", str, (), many=True),
    "--allow-outside": Option("allow_outside", None, False),
    "--state": Option("state", str),
    "--until": Option("until", _stage),
    "--format": Option("form", _one_of("dmesg", "json", "logfmt"), "dmesg"),
    "--no-steps": Option("steps", None, True),
    "--color": Option("color", _one_of("auto", "always", "never"), "auto"),
    "-q": Option("quiet", None, False),
    "--quiet": Option("quiet", None, False),
}


def read(words: Sequence[str]) -> dict[str, Any] | None:
    """Return the arguments of the run that a plain command line asks for, or None."""
    if not words or words[0] != "boot":
        return None
    given: dict[str, Any] = {}
    todo = list(words[:0:-1])
    value: Any
    while todo:
        word = todo.pop()
        if not word.startswith("-") or word == "-":
            option, value = _TREE, word
        else:
            key, equals, text = word.partition("=") if word.startswith("--") else (word, "", "")
            if key not in OPTIONS:
                return None
            option, value = OPTIONS[key], _value(OPTIONS[key], text if equals else None, todo)
        if value is None or (option.name in given and not option.many):
            return None
        given[option.name] = (*given.get(option.name, ()), value) if option.many else value
    if _TREE.name not in given:
        return None
    return {option.name: option.default for option in OPTIONS.values()} | given


def _value(option: Option, text: str | None, todo: list[str]) -> Any:
    # what an option stands for, with the text behind its "=" or the next word; None when that is not plain
    if option.read is None:
        return None if text is not None else not option.default
    if text is None:
        if not todo or todo[-1].startswith("-"):
            return None
        text = todo.pop()
    try:
        return option.read(text)
    except ValueError:
        return None
