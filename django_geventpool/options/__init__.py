"""The pool's options, ``DATABASES[alias]["OPTIONS"]``: declared in one file, which all others read."""

from .declared import NAMES, PoolMode, PoolOptions
from .given import split

__all__ = ["NAMES", "PoolMode", "PoolOptions", "split"]
