"""Engines that a project derives from ours."""
