"""Runs a contender through a scenario."""

from __future__ import annotations

from servers.celery_worker import WorkerFailed

from ..contenders import Contender
from .findings import Finding, Result
from .ground import Ground
from .scenario import Scenario
from .subject import NoAnswer


def run_scenario(ground: Ground, contender: Contender, scenario: Scenario) -> Result:
    """Return what a contender does in a scenario, up to where its process didn't go on."""
    findings: list[Finding] = []
    try:
        with ground.stage(contender, scenario.setting) as stage:
            for finding in scenario.play(stage):
                findings.append(finding)  # noqa: PERF402 (what was found before an error counts)
    except NoAnswer as error:
        findings.append(Finding(str(error), False))
    except WorkerFailed:
        findings.append(Finding("the worker did not start", False))
    return Result(scenario.name, contender.name, findings)
