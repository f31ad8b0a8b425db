"""What `bootsim boot` does, without its command line."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from bootsim.cli.output import LineOutput, complain, wants_color
from bootsim.cli.values import prepare_from
from bootsim.errors import EXIT_PANICKED, KernelPanic
from bootsim.escape import printable

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping

    from bootsim.linux import Kernel
    from bootsim.linux.kernel.printk import Record


def run(
    tree: str, *, state: str | None, form: str, steps: bool, color: str, quiet: bool, until: str | None, **inputs: Any
) -> int:
    """Boot a tree and print its log; the arguments are the command's. Returns the exit code."""
    import bootsim
    from bootsim.log import import_structlog_lazily

    import_structlog_lazily()

    if state is not None:
        from bootsim.state.directory import check_target

        check_target(state)
    log = _Log(_renderer(form, steps, wants_color(color)), quiet=quiet, steps=steps)
    recorder = None
    if state is not None:
        from bootsim.state.recorder import Recorder

        recorder = Recorder()

    def observer(stage: str, k: Kernel) -> None:
        log.show(k.log.records)
        if recorder is not None:
            recorder(stage, k)

    k = prepare_from(tree, inputs, observer=observer)
    blob = received_tree(k) if state is not None else b""
    panic = None
    try:
        bootsim.run(k, until=until)
    except KernelPanic as stop:
        panic = stop
    finally:
        log.show(k.log.records)
    if state is not None and recorder is not None:
        how = {"until": until, "panic": None if panic is None else str(panic), **hardware(inputs)}
        write_state(state, k, blob, recorder.stages.values(), how)
    return 0 if panic is None else EXIT_PANICKED


class _Log:
    """Shows the records of a boot as they come, each once.

    Causes that the log does not show go to standard error, and what the inputs leave open in any case.
    """

    def __init__(self, render: Callable[[Iterable[Record]], Iterator[str]], *, quiet: bool, steps: bool) -> None:
        self._render = render
        self._hides_steps = quiet or not steps
        self._output = None if quiet else LineOutput()
        self._shown = 0

    def show(self, records: list[Record]) -> None:
        new, self._shown = records[self._shown :], len(records)
        if new and self._output is not None:
            self._output.write(self._render(new))
        for record in new:
            warns = not record.kernel and record.text.startswith("bootsim: warning: ")
            if warns or (self._hides_steps and record.tells_cause()):
                complain(printable(record.text))


def _renderer(form: str, steps: bool, color: bool) -> Callable[[Iterable[Record]], Iterator[str]]:
    if form == "dmesg":
        from bootsim.views import dmesg

        return lambda records: dmesg.lines(records, steps=steps, color=color)
    from bootsim.views import records as events

    lines = events.json_lines if form == "json" else events.logfmt_lines
    return lambda records: lines(records, steps=steps)


def received_tree(k: Kernel) -> bytes:
    """Return the blob as it lies in RAM before the kernel runs; its header says how long it is."""
    ram, pa = k.machine.ram, k.machine.dtb_pa
    return ram.read(pa, int.from_bytes(ram.read(pa + 4, 4), "big"))


def tell_prepared(k: Kernel) -> None:
    """Complain of what the log has before the kernel runs, for commands that do not show the log."""
    for record in k.log.records:
        complain(printable(record.text))


def hardware(inputs: Mapping[str, Any]) -> dict[str, Any]:
    """What options say of a machine that neither its tree nor the name of a build tells, as `write_state` keeps it."""
    return {name: inputs[name] for name in ("ram", "cpu", "soc", "slab") if inputs[name]}


def write_state(path: str, k: Kernel, blob: bytes, stages: Iterable[Any], how: dict[str, Any]) -> None:
    """Write a state directory of a boot: its stages, the tree it received, and `how` it was made."""
    from bootsim import __version__
    from bootsim.state import directory
    from bootsim.views.dmesg import console

    machine = k.machine
    meta = {
        "bootsim": __version__,
        "build": k.build.name,
        "cmdline": k.boot_command_line,
        "page_offset": f"{k.build.config.PAGE_OFFSET:#X}",
        "mem_bytes": sum(size for _, size in machine.banks),
        "smp": machine.cpus,
        "dtb_pa": machine.dtb_pa,
        "kernel_pa": machine.kernel_pa,
        **how,
    }
    directory.write(path, stages, dtb=blob, dmesg=console(k), meta=meta)
