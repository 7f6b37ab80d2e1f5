"""Engines derived from ours, in other packages: what they override, and what they remember of a connection.

They must treat a connection that others have used as a new one, though the object may be one that they had before.
"""

from __future__ import annotations

import contextlib
import weakref
from collections.abc import MutableMapping, MutableSet
from typing import Any

#: The packages whose classes don't make an engine a derived one.
_OWN = ("django", __name__.partition(".")[0])

#: What sets up the session of a connection.
CONFIGURATION = frozenset({"_configure_connection", "_configure_role", "_configure_timezone"})
#: The methods of Django's that are called only where somebody overrides them.
_OVERRIDABLE = CONFIGURATION | {"get_new_connection"}


def overridden_by(wrapper_class: type) -> frozenset[str]:
    """Return which of these methods are overridden by classes of other packages."""
    return frozenset(name for cls in _strangers(wrapper_class) for name in _OVERRIDABLE & vars(cls).keys())


def is_derived(wrapper_class: type) -> bool:
    """Return whether a wrapper's class, or one of its bases, is of another package."""
    return bool(_strangers(wrapper_class))


def _strangers(wrapper_class: type) -> list[type]:
    return [cls for cls in wrapper_class.__mro__ if cls is not object and cls.__module__.partition(".")[0] not in _OWN]


def forget_connection(wrapper: Any, connection: Any) -> None:
    """Make a wrapper of a derived engine forget a connection whose session others have had meanwhile.

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
    with contextlib.suppress(TypeError):  # Some take only what can be weakly referenced.
        if isinstance(container, MutableSet):
            container.discard(trace)
        else:
            container.pop(trace, None)


def _nothing() -> None:
    """Return None, as a weak reference to a connection that is gone."""
