"""A run of the faults, from the command line to the exit status."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Sequence
from pathlib import Path

from rich.console import Console
from rich.table import Table

from servers.pgbouncer import find_pgbouncer

from ..contenders import Contender
from ..machine import describe_machine
from ..program import environments_of, report_faults, run_program
from .contenders import CONTENDERS
from .findings import Result
from .ground import Ground, prepared
from .names import can_be_silent
from .options import FaultOptions, parse_options
from .report import TITLES, as_json, as_markdown, group, in_words, mark, merge, results_of
from .run import run_scenario
from .scenario import Scenario
from .scenarios import SCENARIOS


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the scenarios; return the exit status."""
    options = parse_options(arguments)
    return run_program(lambda console: _run(options, console))


def _run(options: FaultOptions, console: Console) -> int:
    load = os.getloadavg()[0]
    notes = []
    contenders: Sequence[Contender] = options.contenders
    pgbouncer = find_pgbouncer()
    if pgbouncer is None and any(contender.through_pgbouncer for contender in contenders):
        contenders = [contender for contender in contenders if not contender.through_pgbouncer]
        notes.append("PgBouncer is left out: there is no `pgbouncer` on this machine.")
    scenarios: Sequence[Scenario] = options.scenarios
    if not can_be_silent() and any(scenario.setting.has_silent_names for scenario in scenarios):
        scenarios = [scenario for scenario in scenarios if not scenario.setting.has_silent_names]
        notes.append("A silent name server is left out: it needs root, and `unshare`.")
    path = options.out / "faults.json"
    before = _read(path) if options.keeps_others else []
    # The page has the versions of those whose results are kept, too.
    named = {result.contender for result in before} | {contender.name for contender in contenders}
    measured = [contender for contender in CONTENDERS if contender.name in named]
    with environments_of(measured, console) as environments, prepared(environments) as ground:
        machine = describe_machine(ground.server, environments, pgbouncer, load)
        results = list(_results(scenarios, contenders, ground, console))
    together = merge(before, results)
    if len(together) > len(results):
        notes.append(
            "Not all lines are of one run: load and commit are those of the last, and earlier lines were kept."
        )
    options.out.mkdir(parents=True, exist_ok=True)
    path.write_text(as_json(together, machine))
    (options.out / "faults.md").write_text(as_markdown(together, machine, notes))
    console.print(f"Written to {options.out}: faults.md, faults.json")
    return _report_ours(results, contenders, console)


def _results(
    scenarios: Sequence[Scenario], contenders: Sequence[Contender], ground: Ground, console: Console
) -> Iterator[Result]:
    for scenario in scenarios:
        found = []
        for contender in contenders:
            if scenario.setting.has_silent_names and contender.through_pgbouncer:
                continue  # It would be the pooler that asks.
            with console.status(f"{scenario.name}: {contender.title} ..."):
                found.append(run_scenario(ground, contender, scenario))
        _print_table(found, console)
        yield from found


def _print_table(results: Sequence[Result], console: Console) -> None:
    for name, found in group(results).items():
        table = Table(title=f"{name}: {SCENARIOS[name].title}", title_justify="left", title_style="bold")
        table.add_column("contender", no_wrap=True)
        table.add_column("")
        table.add_column("what was found")
        for result in found.values():
            style = None if result.is_right else "red"
            table.add_row(TITLES[result.contender], mark(result), in_words(result.findings), style=style)
        console.print(table)


def _read(path: Path) -> list[Result]:
    return results_of(json.loads(path.read_text())) if path.exists() else []


def _report_ours(results: Sequence[Result], contenders: Sequence[Contender], console: Console) -> int:
    ours = {contender.name for contender in contenders if contender.family == "ours"}
    wrong = [result for result in results if result.contender in ours and not result.is_right]
    return report_faults(map(_what_is_wrong, wrong), console)


def _what_is_wrong(result: Result) -> str:
    findings = [finding for finding in result.findings if not finding.is_right]
    return f"{result.contender}, {result.scenario}: {in_words(findings)}"
