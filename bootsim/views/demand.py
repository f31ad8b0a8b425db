"""A traced demand as it went on another machine, in lines."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bootsim.escape import escaped

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from bootsim.lab.demand import Demand

SHOWN = 10


def lines(demand: Demand, *, everything: bool = False) -> Iterator[str]:
    """Tell of the demand, of what this machine made of it, of who holds what, and of what a trace cannot tell."""
    trace = demand.trace
    seconds = demand.last_time - (demand.first_time or 0.0)
    yield (f"{trace.path}: {demand.events} events in {seconds:.6f} s: {demand.asked} requests for {demand.asked_pages} "
           f"pages, {demand.freed_pages} of them freed again")
    yield from _here(demand)
    yield f"held at the end: {demand.held_pages} pages, {len(demand.objects)} objects"
    limit = None if everything else SHOWN
    tasks = demand.tasks()
    yield from (f"  {pages:8} pages   {task}" for task, pages in tasks[:limit])
    yield from _more(tasks, limit, "tasks")
    sites = demand.sites()
    yield from (f"  {size:8} bytes   {count} of {site}" for site, count, size in sites[:limit])
    yield from _more(sites, limit, "call sites")
    yield from _unknown(demand, limit)


def _here(demand: Demand) -> Iterator[str]:
    first = demand.first_refused
    if first is None:
        yield "here: every request was answered"
    else:
        yield (f"here: {demand.refused_here} requests failed, the first of order {first.fields['order']} with "
               f"{first.fields['gfp_flags']} by {first.task}, line {first.line}")
    if demand.refused_there:
        yield f"  {demand.refused_there} requests had failed on the traced system; they are not asked here"
    if demand.most_held:
        yield f"  most pages of the trace held at once: {demand.most_held}, at line {demand.most_held_line}"
    if demand.fewest_free_line:
        yield f"  fewest pages free: {demand.fewest_free}, at line {demand.fewest_free_line}"


def _more(rows: Sequence[object], limit: int | None, what: str) -> Iterator[str]:
    if limit is not None and len(rows) > limit:
        yield f"           ... and {len(rows) - limit} more {what} (--all)"


def _unknown(demand: Demand, limit: int | None) -> Iterator[str]:
    yield ("not known from a text trace: what was held when it began, when per-cpu lists were drained, which pages "
           "were moved; so frames here are not compared with those there")
    if demand.unseen:
        yield f"  {demand.unseen} pages were freed whose request the trace does not have: not done here"
    if demand.unseen_objects:
        yield f"  {demand.unseen_objects} objects were freed whose allocation the trace does not have"
    if demand.hidden_objects:
        yield f"  {demand.hidden_objects} events of objects have no address, as before the kernel could hash it"
    if demand.gaps:
        yield f"  {demand.gaps} blocks were handed out again without a free between: they are freed here at that moment"
    if demand.trace.lost:
        yield f"  the tracer lost events in {demand.trace.lost} places"
    flags = [*demand.trace.unknown_flags.items()]
    for flag, line in flags[:limit]:
        yield f"  Linux 5.10 has no flag {escaped(flag)}, line {line}: such requests are made here without it"
    yield from _more(flags, limit, "flags")
    if demand.cpus_unknown:
        cpus = ", ".join(map(str, sorted(demand.cpus_unknown)))
        yield f"  cpu {cpus}: this machine has {demand.k.nr_cpu_ids}; what they did is done on cpu 0"
    if demand.trace.others:
        names = ", ".join(f"{name} ({count})" for name, count in sorted(demand.trace.others.items()))
        yield f"  passed over: {names}"
