"""Engines of a project, derived from ours."""
