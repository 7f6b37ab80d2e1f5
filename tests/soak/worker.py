"""A soak test with one framework and driver: ``python -m tests.soak.worker FRAMEWORK SECONDS``.

The process is patched first. TEST_FRAMEWORK and TEST_DRIVER must be set too. The last line of its output is the result,
as JSON.
"""

import sys

from tests.run import patch


def main(seconds: float) -> None:
    from tests.support.drivers import ENGINE

    settings.configure(
        DATABASES={"default": {"ENGINE": ENGINE}},
        INSTALLED_APPS=["celery_geventpool", "tests.testapp"],
        DEFAULT_AUTO_FIELD="django.db.models.BigAutoField",
        USE_TZ=True,
    )
    django.setup()

    from tests.soak.soak import soak

    print(json.dumps(soak(seconds)), flush=True)


if __name__ == "__main__":
    patch(sys.argv[1])

    import json

    import django
    from django.conf import settings

    main(float(sys.argv[2]))
