"""``manage.py index_stdlib``."""

from __future__ import annotations

from typing import Any

from django.core.management.base import BaseCommand

from library.stdlib import find_modules
from library.tasks import plan


class Command(BaseCommand):
    """Sends the tasks that index the standard library."""

    help = "Enqueue the tasks that index the standard library."

    def handle(self, *args: Any, **options: Any) -> None:
        """Send a task for each module or small package."""
        tasks = plan(find_modules())
        for task in tasks:
            task.delay()
        self.stdout.write(f"{len(tasks)} tasks enqueued")
