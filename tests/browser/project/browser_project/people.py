"""Makes the tables, and who logs in: ``python -m browser_project.people``."""

from __future__ import annotations

import django
from django.core.management import call_command


def make() -> None:
    """Make an operator who may see and change, a viewer who may see, and a clerk who may neither."""
    from django.contrib.auth.models import Permission, User

    for name, actions in {"operator": ["view", "change"], "viewer": ["view"], "clerk": []}.items():
        user = User.objects.create_user(name, password=name, is_staff=True)
        names = [f"{action}_connectionpools" for action in actions]
        user.user_permissions.set(Permission.objects.filter(codename__in=names))


if __name__ == "__main__":
    django.setup()
    call_command("migrate", verbosity=0)
    make()
