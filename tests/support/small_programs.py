"""All small programs, as tasks are made of."""

from __future__ import annotations

from . import pool_programs, query_programs  # noqa: F401  they add theirs
from .program_registry import PROGRAMS, Program

__all__ = ["PROGRAMS", "Program"]
