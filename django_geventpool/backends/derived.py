"""Engines derived from ours, in other packages: what they hook, and what they remember of a connection.

To them, a connection that comes from the pool is what a new one is with Django's engines, though the object may be the
one that they had before.
"""

from __future__ import annotations

import contextlib
import weakref
from collections.abc import MutableMapping, MutableSet
from typing import Any

#: Whose classes are no strangers.
_OWN = ("django", __name__.partition(".")[0])

#: What sets up the session of a connection.
CONFIGURATION = frozenset({"_configure_connection", "_configure_role", "_configure_timezone"})
#: The methods that we call only where somebody overrides them.
_DOORS = CONFIGURATION | {"get_new_connection"}


def doors_of(wrapper_class: type) -> frozenset[str]:
    """Return which of Django's methods, of those that are not called otherwise, others have overridden."""
    return frozenset(name for cls in _strangers(wrapper_class) for name in _DOORS & vars(cls).keys())


def is_derived(wrapper_class: type) -> bool:
    """Tell whether a wrapper's class is somebody else's, or has one of somebody else's among its bases."""
    return bool(_strangers(wrapper_class))


def _strangers(wrapper_class: type) -> list[type]:
    return [cls for cls in wrapper_class.__mro__ if cls is not object and cls.__module__.partition(".")[0] not in _OWN]


def forget_connection(wrapper: Any, connection: Any) -> None:
    """Have a wrapper of a derived engine know nothing of a connection whose session was others' meanwhile.

    Some remember which connection they have set something on (``self.path_is_set_on = self.connection``, its ``id()``,
    a weak reference). With Django's engines the next connection is another object. Here it may be the same one.
    """
    for name, value in list(vars(wrapper).items()):
        if value is connection or (type(value) is int and value == id(connection)):
            setattr(wrapper, name, None)
        elif isinstance(value, weakref.ref) and value() is connection:
            setattr(wrapper, name, _nothing)
        elif isinstance(value, MutableSet | MutableMapping):
            _remove(value, connection)
            _remove(value, id(connection))


def _remove(container: MutableSet[Any] | MutableMapping[Any, Any], trace: Any) -> None:
    with contextlib.suppress(TypeError):  # Some have only what weak references can be made to.
        if isinstance(container, MutableSet):
            container.discard(trace)
        else:
            container.pop(trace, None)


def _nothing() -> None:
    """Stand for a weak reference to a connection that is gone."""
