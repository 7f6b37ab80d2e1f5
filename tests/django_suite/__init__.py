"""Django's own test suite on the project's engine: `python -m tests.django_suite --help`."""
