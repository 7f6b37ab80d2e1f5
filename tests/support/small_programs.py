"""Imports all small programs, so that they are registered."""

from __future__ import annotations

from . import pool_programs, query_programs  # noqa: F401  importing registers
from .program_registry import PROGRAMS, Program

__all__ = ["PROGRAMS", "Program"]
