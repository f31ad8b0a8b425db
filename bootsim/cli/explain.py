"""`bootsim explain`."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import click

from bootsim.cli.inputs import input_options, replayable
from bootsim.cli.output import Experiments, LineOutput
from bootsim.sizes import parse_number

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from bootsim.state.owner import Place, Watcher
    from bootsim.state.replay import Replay
    from bootsim.sweep.whynot import WhatIf

_HELP = """Tell where a quantity comes from, or who owns an address.

    SOURCE is a tree, or a state directory (replayed or captured), whose tree is replayed.

    WHAT is a quantity that `bootsim facts` or `bootsim check --names` lists (or the first part of its name:
    zone.Normal), a root such as CONFIG_PAGE_OFFSET, a node of /reserved-memory, or an address. A quantity is derived,
    down to what a person decided, with the file and line; --what-if measures which decisions move it, and by how much.
    Of a node it is told what memory it got, who is in the way, and the largest free run where it may lie. Of an address
    every stage of the boot tells who owns it: as a physical address the bank, the reservation and who made it, the
    zone, the page, and where it is mapped; as a virtual address the descriptors and what they mean.

    \b
    Examples:
      bootsim explain vexpress.dts arm_lowmem_limit --mem 1G
      bootsim explain vexpress.dts 0x9f000000 --phys --mem 1G
      bootsim explain vexpress.dts 0xffff0000 --virt
      bootsim explain vexpress.dts lowmem --mem 1G --what-if
      bootsim explain vexpress.dts /reserved-memory/vram@4c000000
      bootsim explain vexpress.dts CONFIG_HIGHMEM
    """


@click.command(help=_HELP, context_settings={"help_option_names": ["-h", "--help"]})
@click.argument("source", metavar="SOURCE")
@click.argument("what", metavar="WHAT")
@input_options
@click.option("--phys", "kind", flag_value="phys", help="The address is physical.  [default: both are told]")
@click.option("--virt", "kind", flag_value="virt", help="The address is virtual.")
@click.option("--what-if", "measured", is_flag=True,
              help="Boot with one thing changed at a time: what moves the quantity, and by how much.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
def explain(source: str, what: str, kind: str | None, measured: bool, as_json: bool, **options: Any) -> None:
    """Explain one thing; the help text is `_HELP`."""
    from bootsim.log import import_structlog_lazily

    import_structlog_lazily()
    address = _address(what)
    tree, inputs = replayable(source, options)
    if measured:
        _what_if(tree, what, inputs, as_json)
    elif what.startswith("/"):
        _region(tree, what, inputs)
    elif address is None:
        _quantity(tree, what, inputs, as_json)
    else:
        _owner(tree, address, kind, inputs, as_json)


def _address(what: str) -> int | None:
    # a quantity's name never begins with a digit
    if not what[:1].isdigit():
        return None
    try:
        value = parse_number(what)
    except ValueError:
        return None
    if value >= 1 << 32:
        raise click.BadParameter(f"{what} does not fit in 32 bits", param_hint="WHAT")
    return value


def _quantity(tree: str, what: str, inputs: Mapping[str, Any], as_json: bool) -> None:
    from bootsim.state.explain import derivation_json, derivation_lines, names_of
    from bootsim.state.quantities import BY_NAME, Quantities
    from bootsim.state.replay import Replay
    from bootsim.state.roots import Roots

    replay = Replay(tree, inputs)
    facts, roots = replay.k.facts, Roots(replay.k, replay.blob, inputs)
    known = Quantities(replay.k)
    names = names_of(known, facts, what)
    if as_json:
        click.echo(json.dumps([derivation_json(facts, roots, name) for name in names]))
        return
    if what not in facts and what not in names:
        meaning = f"  ({BY_NAME[what].meaning})" if what in BY_NAME else ""
        click.echo(f"{what} = {known.shown(what)}{meaning}")
    for name in names:
        LineOutput().write(derivation_lines(facts, roots, name))


def _region(tree: str, path: str, inputs: Mapping[str, Any]) -> None:
    from bootsim.state.decisions import load_inputs
    from bootsim.state.regions import region_lines
    from bootsim.state.replay import Replay

    made_from = load_inputs(tree, inputs)
    replay = Replay(made_from.tree, {"config": made_from.build, **made_from.options})
    LineOutput().write(region_lines(replay.k, made_from.tree, path))


def _what_if(tree: str, what: str, inputs: Mapping[str, Any], as_json: bool) -> None:
    from bootsim.state.decisions import load_inputs
    from bootsim.sweep import whynot

    progress = Experiments()
    try:
        found = whynot.what_if(load_inputs(tree, inputs), what, progress)
    finally:
        progress.finish()
    if as_json:
        click.echo(json.dumps({**found._asdict(), "moves": [move._asdict() for move in found.moves]}))
        return
    LineOutput().write(_moves(found))


def _moves(found: WhatIf) -> Iterator[str]:
    from bootsim.state.quantities import shown

    def text(value: int | str | None) -> str:
        return "none" if value is None else shown(value, found.unit)

    yield f"{found.name} = {text(found.value)}"
    yield f"Moved by {len(found.moves)} of {found.boots - 1} changes, each booted:"
    for move in found.moves:
        delta = ""
        if isinstance(move.value, int) and isinstance(found.value, int):
            less = move.value - found.value
            delta = f"  ({'+' if less > 0 else '-'}{shown(abs(less), 'bytes' if found.unit == 'pa' else found.unit)})"
        where = f"  [{move.where}]" if move.where else ""
        yield f"  {text(move.value)}{delta}  {move.change}{where}"


def _owner(tree: str, address: int, kind: str | None, inputs: Mapping[str, Any], as_json: bool) -> None:
    from bootsim.state.owner import Watcher, merged
    from bootsim.state.replay import Replay

    watcher = Watcher(address)
    replay = Replay(tree, inputs, watch=watcher)
    chosen = [name for name in ("phys", "virt") if kind in (None, name)]
    if as_json:
        told = {
            name: [{"from": first, "to": last, "facts": dict(facts)}
                   for first, last, facts in merged(_places(name, watcher, replay))]
            for name in chosen
        }  # fmt: skip
        click.echo(json.dumps({"address": address, **told}))
        return
    for name in chosen:
        LineOutput().write(_told(name, address, watcher, replay))


def _places(name: str, watcher: Watcher, replay: Replay) -> Iterator[Place]:
    from bootsim.causes import owner

    k = replay.k
    return watcher.physical(k.owners, lambda purpose: owner(k, purpose)) if name == "phys" else watcher.virtual()


def _told(name: str, address: int, watcher: Watcher, replay: Replay) -> Iterator[str]:
    from bootsim.state.owner import merged

    physical = name == "phys"
    yield f"{address:#010x} as a {'physical' if physical else 'virtual'} address"
    for first, last, facts in merged(_places(name, watcher, replay)):
        yield f"  {first}" if first == last else f"  {first} ... {last}"
        yield from (f"    {what + ':':<13} {value}" for what, value in facts)
