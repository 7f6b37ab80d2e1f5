"""The app with django-tenants' models, for tests."""
