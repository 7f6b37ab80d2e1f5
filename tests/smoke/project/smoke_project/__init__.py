"""A Django project for the workers of the smoke tests; SMOKE_PROJECT in the environment says what is in it."""
