"""Django's own test suite on our engine: ``python -m tests.django_suite --help``."""
