"""What a wrapper needs its connection for: ``PoolModeMixin`` in ``pool_mode`` records that here, and decides by it."""

from __future__ import annotations


class Use:
    """What a wrapper needs a connection for, from one ``close`` to the next.

    It also marks the connections whose sessions the wrapper has set up; after ``close``, none counts as set up.

    :param pins: calls of ``pin`` that ``unpin`` has yet to undo.
    """

    # Defaults in the class, as a wrapper is made for each task and sets few of them.
    #: How many cursors are open.
    cursors = 0
    #: Whether somebody asked for the connection itself, with ``ensure_connection``.
    is_direct = False
    #: Whether a connection is being taken.
    is_connecting = False
    #: Whether Django has set up the wrapper's state, for the first of its connections.
    is_set_up = False
    #: Whether the transaction is that of an outermost ``atomic`` block.
    is_in_outermost_atomic = False

    def __init__(self, pins: int = 0) -> None:
        self.pins = pins

    @property
    def needs_connection(self) -> bool:
        """Whether anything but a transaction, or the state of the session, needs the connection."""
        return bool(self.cursors or self.pins or self.is_direct)
