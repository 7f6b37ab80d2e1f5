"""Each block of Python in README and docs runs, in a process of its own, against a real server."""

from __future__ import annotations

import pytest

from servers.postgres_address import Postgres
from tests.support.fresh import run_fresh

from .pages import Block, blocks

PYTHON = blocks("python")


def test_the_blocks_are_found() -> None:
    """Sybil's idea of a block and ours are the same."""
    marked = sum(
        block.page.read_text().count("```python") for block in {block.page: block for block in PYTHON}.values()
    )
    assert len(PYTHON) == marked > 15


@pytest.mark.parametrize("block", PYTHON, ids=str)
def test_a_block_of_python_runs(block: Block, postgres: Postgres) -> None:
    server = {
        "HOST": postgres.host,
        "PORT": postgres.port,
        "USER": postgres.user,
        "PASSWORD": postgres.password,
        "NAME": postgres.dbname,
    }
    run_fresh(f"from tests.docs.inside import run\nrun({block.source!r}, {server!r})")


@pytest.mark.parametrize("block", blocks("sql"), ids=str)
def test_a_block_of_sql_runs(block: Block, postgres: Postgres) -> None:
    roles = [name for name in ("shop", "shop_web") if f"ROLE {name} " in block.source]
    assert roles
    for role in roles:
        postgres.query(f"CREATE ROLE {role}")
    try:
        for statement in filter(None, map(str.strip, block.source.split(";"))):
            postgres.query(statement)
    finally:
        for role in roles:
            postgres.query(f"DROP ROLE {role}")
