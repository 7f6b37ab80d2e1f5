"""The pool's options, ``DATABASES[alias]["OPTIONS"]``: declared in one file, which all others read."""

from .declared import NAMES, DiscardAll, PoolMode, PoolOptions, SessionStatePolicy
from .given import split

__all__ = ["NAMES", "DiscardAll", "PoolMode", "PoolOptions", "SessionStatePolicy", "split"]
