"""The scenarios, by name."""

from __future__ import annotations

from . import holders, kills, networks, outages, workers

SCENARIOS = {
    scenario.name: scenario for module in (workers, kills, holders, outages, networks) for scenario in module.SCENARIOS
}
