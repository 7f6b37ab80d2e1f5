"""The components of a wrapper: its features, its operations and so on, which know the wrapper that they belong to.

Django's components and their wrapper keep each other alive. Such a cycle is left to the garbage collection, which costs
a worker with a wrapper for each task as much time as its queries. Ours goes with the last reference to it.
"""

from __future__ import annotations

import functools
import weakref
from typing import Any

#: The attributes in which a wrapper class has the classes of its components.
NAMES = (
    "client_class",
    "creation_class",
    "features_class",
    "introspection_class",
    "ops_class",
    "validation_class",
)


class Component:
    """A mixin for a component's class, before it: doesn't keep the wrapper alive."""

    _wrapper: weakref.ref[Any]

    @property
    def connection(self) -> Any:
        """The wrapper that this belongs to.

        :raises ReferenceError: when it is gone, as that of a greenlet or thread that has ended.
        """
        wrapper = self._wrapper()
        if wrapper is None:
            raise ReferenceError(
                f"The connection of this {type(self).__name__} is gone: use those of "
                "django.db.connections in the greenlet or thread that they are made for."
            )
        return wrapper

    @connection.setter
    def connection(self, wrapper: Any) -> None:
        self._wrapper = weakref.ref(wrapper)

    @connection.deleter
    def connection(self) -> None:
        """Do nothing: components of Django 6.0 and later delete theirs in the end, to break the cycle."""


def break_cycles(wrapper_class: type) -> None:
    """Give a wrapper class components that don't keep its wrappers alive."""
    for name in NAMES:
        kind: Any = getattr(wrapper_class, name, None)
        # A derived engine may have a function there.
        is_stock = isinstance(kind, type) and not issubclass(kind, Component)
        if is_stock:
            setattr(wrapper_class, name, _without_cycle(kind))


@functools.cache
def _without_cycle(kind: type) -> type:
    return type(kind.__name__, (Component, kind), {"__module__": kind.__module__, "__doc__": kind.__doc__})
