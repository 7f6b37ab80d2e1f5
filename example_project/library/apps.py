"""The Django app."""

from django.apps import AppConfig


class LibraryConfig(AppConfig):
    """An index of modules and their functions and classes."""

    name = "library"
