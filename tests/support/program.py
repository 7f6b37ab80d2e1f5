"""Calls a function in a fresh process: ``python -m tests.support.program FRAMEWORK FUNCTION SETTINGS [ARGUMENT...]``.

It is monkey-patched first, then Django gets the DATABASES of SETTINGS (JSON), then the function is called: one of
tests.support.programs, or of another module (MODULE:FUNCTION).
"""

import sys
from pathlib import Path

from tests.run import patch


def main(function: str, databases: str, *arguments: str) -> None:
    # "python -m" puts the checkout first on the path, where it hides the installed packages.
    root = Path(__file__).parent.parent.parent
    sys.path[:] = [*(entry for entry in sys.path if Path(entry) != root), str(root)]

    import importlib
    import json

    from django.conf import settings

    settings.configure(
        DATABASES=json.loads(databases),
        INSTALLED_APPS=["celery_geventpool", "tests.testapp"],
        DEFAULT_AUTO_FIELD="django.db.models.BigAutoField",
        TIME_ZONE="Asia/Tokyo",
        ALLOWED_HOSTS=["localhost"],
        USE_TZ=True,
    )
    module, _, name = function.rpartition(":")
    getattr(importlib.import_module(module or "tests.support.programs"), name)(*arguments)


if __name__ == "__main__":
    patch(sys.argv[1])
    main(*sys.argv[2:])
