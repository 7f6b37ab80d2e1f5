"""The app's configuration."""

from django.apps import AppConfig


class LibraryConfig(AppConfig):
    """An index of modules, and of the functions and classes that they define."""

    name = "library"
