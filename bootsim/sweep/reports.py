"""Reports of a check: text for people, JUnit XML for CI systems, annotations for GitHub."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING
from xml.etree import ElementTree as Xml

from bootsim.escape import escaped

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from bootsim.sweep.checks import Finding, Report

_MARKS = {"ok": "ok  ", "failed": "FAIL", "skipped": "skip", "error": "ERR "}
_NOT_XML = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


def text(reports: Sequence[Report], *, verbose: bool = False) -> Iterator[str]:
    """Yield the lines for people: a line a boot, under it what does not hold; with `verbose` what does, too."""
    for report in reports:
        bad = report.with_status("failed", "error")
        mark = "ERR " if report.with_status("error") else "FAIL" if bad else "ok  "
        yield f"{mark} {report.case.title()}"
        if report.with_status("error"):
            yield from _indented(f"{report.verdict}: {report.message}".split("\n"), 7)
            continue
        for finding in report.findings:
            if verbose or finding.status == "failed":
                yield f"  {_MARKS[finding.status]} {finding.expectation.expression.text}"
                if finding.status != "ok":
                    yield from _indented(explained(finding), 9)
    yield summary(reports)


def explained(finding: Finding) -> list[str]:
    """Why a finding is what it is: reasons, the reason of the expectation, where, and the derivation."""
    expectation = finding.expectation
    lines = list(finding.reasons)
    if finding.status == "skipped":
        return [escaped(f"does not apply: {'; '.join(lines)}")]
    if expectation.why:
        lines.append(f"why: {expectation.why}")
    at = f"expected at {expectation.file}:{expectation.line}"
    lines.append(f"decided at {finding.place.text()}, {at}" if finding.place else at)
    return [escaped(line) for line in (*lines, *finding.measured, *(f"| {detail}" for detail in finding.details))]


def summary(reports: Sequence[Report]) -> str:
    """The counts."""
    counts = {status: sum(len(r.with_status(status)) for r in reports) for status in _MARKS}
    boots = "1 boot" if len(reports) == 1 else f"{len(reports)} boots"
    words = {"failed": "do not", "error": "could not be tried", "skipped": "do not apply"}
    parts = [f"{counts['ok']} hold", *(f"{counts[each]} {word}" for each, word in words.items() if counts[each])]
    return f"{boots}, {sum(counts.values())} expectations: {', '.join(parts)}"


def _indented(lines: Sequence[str], columns: int) -> Iterator[str]:
    for line in lines:
        yield " " * columns + line


def github(reports: Sequence[Report]) -> Iterator[str]:
    """Yield a workflow command for every finding that is bad, at the line of the tree that decided it."""
    for report in reports:
        bad = report.with_status("error")[:1] or report.with_status("failed")
        for finding in bad:
            where = finding.where
            line = f",line={where.line}" if where.line else ""
            what = report.verdict if finding.status == "error" else finding.expectation.expression.text
            title = _property(f"{what} ({report.case.title()})")
            yield f"::error file={_property(where.file)}{line},title={title}::{_message(_told(finding))}"


def _told(finding: Finding) -> str:
    expectation = finding.expectation
    why = [f"why: {expectation.why}"] if expectation.why else []
    where = [] if finding.place is None else [f"expected at {expectation.file}:{expectation.line}"]
    return "\n".join(map(escaped, (*finding.reasons, *why, *finding.measured, *where)))


def _message(text: str) -> str:
    return text.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")


def _property(text: str) -> str:
    return _message(escaped(text)).replace(":", "%3A").replace(",", "%2C")


def junit(reports: Sequence[Report], name: str) -> bytes:
    """The reports as a JUnit file: a suite named `name`, a test case for every expectation on every boot."""
    count = {status: str(sum(len(r.with_status(status)) for r in reports)) for status in _MARKS}
    totals = {
        "tests": str(sum(len(r.findings) for r in reports)), "failures": count["failed"], "errors": count["error"],
        "skipped": count["skipped"], "time": f"{sum(r.seconds for r in reports):.3f}",
    }  # fmt: skip
    suites = Xml.Element("testsuites", totals)
    suite = Xml.SubElement(suites, "testsuite", {"name": _legal(name), **totals})
    for report in reports:
        each = report.seconds / max(len(report.findings), 1)
        for finding in report.findings:
            _test_case(suite, report, finding, each)
    Xml.indent(suites)
    return bytes(Xml.tostring(suites, encoding="utf-8", xml_declaration=True)) + b"\n"


def _test_case(suite: Xml.Element, report: Report, finding: Finding, seconds: float) -> None:
    where = finding.where
    case = Xml.SubElement(suite, "testcase", {
        "classname": _legal(report.case.title()), "name": _legal(finding.expectation.expression.text),
        "file": _legal(where.file), "line": str(where.line), "time": f"{seconds:.4f}",
    })  # fmt: skip
    if finding.status != "ok":
        tag = {"failed": "failure", "error": "error", "skipped": "skipped"}[finding.status]
        element = Xml.SubElement(case, tag, {"message": _legal("; ".join(finding.reasons))})
        element.text = _legal("\n".join(explained(finding)))


def _legal(text: str) -> str:
    return _NOT_XML.sub(lambda match: f"\\x{ord(match[0]):02x}", text)
