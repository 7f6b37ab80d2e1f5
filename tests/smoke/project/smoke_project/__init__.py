"""A Django project for the workers of the smoke tests; its settings are in the variable SMOKE_PROJECT."""
