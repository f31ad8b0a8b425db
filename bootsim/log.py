"""The plumbing from printk() to a list of records: a structlog logger whose last processor makes a Record.

    k.log.logger.msg(text, level=..., ...)  ->  KernelLogger  ->  MakeRecord  ->  sink.append(Record)

structlog carries the event; nothing is printed or rendered here. Views render records later, through structlog's own
renderers where the form is an event a line (`bootsim.views.records`).
"""

from __future__ import annotations

import importlib.util
import sys
from copy import deepcopy
from functools import cache
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from collections.abc import MutableMapping
    from types import ModuleType

    from bootsim.linux.kernel.printk import Record

# Where structlog's package keeps the public names that a boot needs.
_LIGHT_NAMES = {"BoundLoggerBase": "structlog._base", "processors": "structlog.processors"}


class RecordSink(Protocol):
    """Anything that takes records one by one; a list will do."""

    def append(self, record: Record, /) -> None:
        """Take the next record."""


def import_structlog_lazily() -> None:
    """Let `import structlog` load only what is asked of it, in this process. The command line calls this first.

    structlog's package imports every submodule, and with them asyncio and rich.traceback: a quarter of a second, which
    is most of what a whole boot may take. Here the package is entered in sys.modules unexecuted. The names a boot needs
    come from their own submodules; any other name runs the package's own __init__, and from then on it is as always.
    """
    if "structlog" in sys.modules:
        return
    spec = importlib.util.find_spec("structlog")
    if spec is None or spec.loader is None:
        return  # the plain import will say it best
    package = importlib.util.module_from_spec(spec)
    package.__dict__["__getattr__"] = _lazy_getattr(package)
    sys.modules["structlog"] = package


def _lazy_getattr(package: ModuleType) -> Any:
    def from_its_home(name: str) -> Any:
        home = _LIGHT_NAMES.get(name)
        if home is not None:
            module = importlib.import_module(home)
            return module if home.endswith("." + name) else getattr(module, name)
        spec = package.__spec__
        # Submodule lookups during an import ask for dunder names; those never need the rest.
        if name.startswith("__") or spec is None or spec.loader is None:
            raise AttributeError(f"module 'structlog' has no attribute {name!r}")
        package.__dict__.pop("__getattr__", None)
        spec.loader.exec_module(package)
        return getattr(package, name)

    return from_its_home


class MakeRecord:
    """The last processor of a logger: it makes the Record, numbered `seq` and so on, that sink.append() takes."""

    __slots__ = ("seq",)

    def __init__(self, seq: int) -> None:
        self.seq = seq

    def __call__(self, _sink: Any, _method: str, event: MutableMapping[str, Any]) -> tuple[Any, ...]:
        """What structlog asks of a processor that is the last: the arguments of sink.append()."""
        return (self.record(**event),), {}

    def record(
        self, event: str, *, level: int, stage: str, func: str, kernel: bool, fields: dict[str, Any], **_bound: Any
    ) -> Record:
        """The next record."""
        record = _classes()[1](self.seq, level, stage, func, event, kernel, fields)
        self.seq += 1
        return record


def make_logger(sink: RecordSink, seq: int = 0) -> Any:
    """A structlog logger whose `msg(text, level=, stage=, func=, kernel=, fields=)` appends a Record to `sink`.

    Records are numbered from `seq` in the order they come. Loggers made from it by `bind` share its numbers and its
    sink.
    """
    return _classes()[0](sink, [MakeRecord(seq)], {})


@cache
def _classes() -> tuple[Any, type[Record]]:
    # the logger's class and Record; made at the first use, as structlog comes late and printk stands on this module
    from structlog import BoundLoggerBase

    from bootsim.linux.kernel.printk import Record

    class KernelLogger(BoundLoggerBase):
        """structlog's documented base for loggers of one's own, with the one method printk() needs."""

        _processors: Any

        def msg(self, event: str, **event_kw: Any) -> None:
            """Pass one message through the processors to the sink."""
            if self._context or len(self._processors) > 1:
                args, kwargs = self._process_event("append", event, event_kw)
                self._logger.append(*args, **kwargs)
            else:  # nothing that structlog would add; a boot says a hundred messages
                self._logger.append(self._processors[0].record(event, **event_kw))

        def __deepcopy__(self, memo: dict[int, Any]) -> Any:
            return make_logger(deepcopy(self._logger, memo), self._processors[-1].seq)

    return KernelLogger, Record
