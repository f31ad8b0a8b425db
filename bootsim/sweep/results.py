"""Results of a sweep: one JSON object a line, written as it comes, and the table people read.

    {"case": {"tree": "board.dts", "config": "3G/1G", "mem": 536870912}, "verdict": "ok", "message": "",
     "values": {"lowmem": 536870912, ...}, "seconds": 0.0081, "inputs": "5f0c1e2a9b34"}

A line is whole or absent: what a kill left of the last one is cut off before more is written. `inputs` is a hash of the
files the boot was made from; a result with another one is out of date.
"""

from __future__ import annotations

import difflib
import json
from dataclasses import fields
from typing import TYPE_CHECKING, Any

from bootsim.errors import InputError
from bootsim.files import LineFile
from bootsim.state.quantities import FAMILIES, TABLE, is_known, shown
from bootsim.state.shapes import ShapeError, mapping, record, text
from bootsim.sweep.case import Case, from_json
from bootsim.sweep.worker import VERDICTS

if TYPE_CHECKING:
    import os
    from collections.abc import Iterable, Iterator, Sequence
    from types import TracebackType

_UNITS = {quantity.name: quantity.unit for quantity in TABLE}
_FAMILY_UNITS = {(name.partition(".")[0], name.rpartition(".")[2]): unit for name, unit, _ in FAMILIES}
_INPUT_UNITS = {"mem": "bytes", "ram": "bytes", "dtb_addr": "pa", "load_addr": "pa", "initrd_addr": "pa",
                "ram_addr": "pa"}  # fmt: skip
_VERDICT_WIDTH = 120


class ResultFile:
    """A file of results, open for more of them. `done` are the results it holds, by case.

    Raises InputError when the file is there and not to be resumed, holds something else, or has another writer.
    """

    def __init__(self, path: str | os.PathLike[str], *, resume: bool) -> None:
        self.path = path
        self.done: dict[Case, dict[str, Any]] = {}
        self._file = LineFile(path)
        try:
            self._take_up(self._file.content(), resume=resume)
        except BaseException:
            self._file.close()
            raise

    def _take_up(self, data: bytes, *, resume: bool) -> None:
        if data and not resume:
            raise InputError(f"{self.path}: exists; say --resume to go on with it, or give another name")
        whole = data.rfind(b"\n") + 1
        for number, line in enumerate(data[:whole].splitlines(), 1):
            try:
                case, result = _result(json.loads(line))
            except (ValueError, RecursionError) as error:
                why = f": {error}" if isinstance(error, ShapeError) else ""
                raise InputError(f"{self.path}:{number}: not a sweep's result{why}; nothing was written") from None
            self.done[case] = result
        if whole != len(data):
            if not data[whole:].startswith(b'{"case"'[: len(data) - whole]):
                raise InputError(f"{self.path}: not a sweep's results; nothing was written")
            self._file.cut(whole)

    def add(self, result: dict[str, Any]) -> None:
        """Append a result; it is in the file when this returns."""
        self._file.add(json.dumps(result))

    def __enter__(self) -> ResultFile:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._file.close()


def _result(value: Any) -> tuple[Case, dict[str, Any]]:
    # a line as `measure` makes it, and its case
    result = record(value, "result", {"case": mapping, "verdict": text, "message": text, "values": mapping})
    if result["verdict"] not in VERDICTS:
        raise ShapeError("result.verdict", result["verdict"], f"one of {', '.join(VERDICTS)}")
    for name, found in result["values"].items():
        if found is not None and (isinstance(found, bool) or not isinstance(found, (int, str))):
            raise ShapeError(f"result.values.{name}", found, "a number or a text")
    return from_json(result["case"], "result.case"), result


def refuse_unknown(results: Iterable[dict[str, Any]], names: Sequence[str]) -> None:
    """Raise InputError for names that are no quantities, and that no boot had a value for."""
    booted = [row["values"] for row in results if row["verdict"] in ("ok", "warnings")]
    unknown = [name for name in names if not is_known(name) and all(row.get(name) is None for row in booted)]
    if booted and unknown:
        near = difflib.get_close_matches(unknown[0], [quantity.name for quantity in TABLE], 2, 0.6)
        hint = f"; did you mean {' or '.join(near)}?" if near else "; `bootsim check --names` lists them"
        raise InputError(f"no boot has a quantity {unknown[0]!r}{hint}")


def unit_of(name: str) -> str:
    """The unit of a quantity as far as its name tells; that of a fact is not known without its boot."""
    return _UNITS.get(name) or _FAMILY_UNITS.get((name.partition(".")[0], name.rpartition(".")[2]), "count")


def table(results: Iterable[dict[str, Any]], names: Sequence[str]) -> Iterator[str]:
    """Yield the lines of the table: a row a result, columns for the inputs that vary, the quantities, the verdict."""
    rows = list(results)
    inputs = _varying(rows)
    header = [*inputs, *names, "verdict"]
    body = [[*(_input(row, name) for name in inputs), *(_value(row, name) for name in names), _verdict(row)]
            for row in rows]  # fmt: skip
    widths = [max(map(len, column)) for column in zip(header, *body, strict=True)]
    right = {header.index(name) for name in names}
    for line in (header, *body):
        cells = [
            cell.rjust(width) if i in right else cell.ljust(width)
            for i, (cell, width) in enumerate(zip(line, widths, strict=True))
        ]
        yield "  ".join(cells).rstrip()


def _varying(rows: list[dict[str, Any]]) -> list[str]:
    # the tree always; of the other inputs those in which the rows differ
    names = [field.name for field in fields(Case) if field.name != "tree"]
    return ["tree", *(name for name in names if len({_input(row, name) for row in rows}) > 1)]


def _input(row: dict[str, Any], name: str) -> str:
    value = row["case"].get(name)
    if value is None:
        return "-"
    if isinstance(value, list):
        return ",".join(map(str, value))
    if isinstance(value, bool):
        return "yes"
    return value or '""' if isinstance(value, str) else shown(value, _INPUT_UNITS.get(name, "count"))


def _value(row: dict[str, Any], name: str) -> str:
    value = row["values"].get(name)
    return "-" if value is None else _short(value, unit_of(name))


def _short(value: int | str, unit: str) -> str:
    if unit == "bytes" and isinstance(value, int) and value % (1 << 20) == 0:
        return f"{value >> 20}M"
    return shown(value, unit)


def _verdict(row: dict[str, Any]) -> str:
    message = row["message"].split("\n")[0]
    text = f"{row['verdict']}: {message}" if message else row["verdict"]
    return text if len(text) <= _VERDICT_WIDTH else text[: _VERDICT_WIDTH - 3] + "..."
