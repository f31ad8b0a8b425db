"""Records as one structlog event a line: JSON, or logfmt."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from bootsim.escape import printable

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from bootsim.linux.kernel.printk import Record

LEVEL_NAMES = ("emerg", "alert", "crit", "err", "warn", "notice", "info", "debug")


def json_lines(records: Iterable[Record], *, steps: bool = True) -> Iterator[str]:
    """Yield each record as a JSON object: seq, level, stage, function, kernel, text, and its numbers in `fields`."""
    from structlog.processors import JSONRenderer

    return _rendered(records, steps, JSONRenderer(), lambda record: {"fields": record.fields})


def logfmt_lines(records: Iterable[Record], *, steps: bool = True) -> Iterator[str]:
    """Yield each record as key=value pairs: the keys of the JSON form, and each number under its name."""
    from structlog.processors import LogfmtRenderer

    return _rendered(
        records, steps, LogfmtRenderer(bool_as_flag=False), lambda r: {**_flat_fields(r), "text": printable(r.text)}
    )


def _flat_fields(record: Record) -> dict[str, Any]:
    # a number whose name is taken by the record itself gets an underscore
    taken = {"seq", "level", "stage", "function", "kernel", "text"}
    return {
        f"{name}_" if name in taken else name: printable(value) if isinstance(value, str) else value
        for name, value in record.fields.items()
    }


def _rendered(
    records: Iterable[Record],
    steps: bool,
    renderer: Callable[[Any, str, dict[str, Any]], str | bytes],
    fields: Callable[[Record], dict[str, Any]],
) -> Iterator[str]:
    for record in records:
        if steps or record.kernel:
            event = {
                "seq": record.seq,
                "level": LEVEL_NAMES[record.level],
                "stage": record.stage,
                "function": record.func,
                "kernel": record.kernel,
                "text": record.text,
                **fields(record),
            }
            yield str(renderer(None, "msg", event))
