"""The app of django-tenants' models, for tests."""
