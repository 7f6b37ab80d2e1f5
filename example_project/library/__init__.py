"""An index of the modules of Python's standard library."""
