"""A project of django-tenants': ``python -m tests.support.tenants FRAMEWORK DATABASE LIMIT_SET_CALLS TASKS``.

Its tasks write and read at the same time, each as one of three tenants. It prints, as JSON, how many rows they wrote,
and how many rows of other tenants they saw.
"""

import sys
from pathlib import Path

from tests.run import patch

NAMES = ("amber", "birch", "cedar")
ROUNDS = 5


def main(database: str, limit_set_calls: str, tasks: str) -> None:
    # "python -m" puts the checkout first on the path, where it would hide the installed packages.
    root = Path(__file__).parent.parent.parent
    sys.path[:] = [*(entry for entry in sys.path if Path(entry) != root), str(root)]

    import json

    import django
    from django.conf import settings

    given = json.loads(database)
    shared = ["celery_geventpool", "django_tenants", "tests.tenantapp", "django.contrib.contenttypes"]
    settings.configure(
        DATABASES={"default": {**given, "ENGINE": "django_tenants.postgresql_backend"}},
        ORIGINAL_BACKEND=given["ENGINE"],
        DATABASE_ROUTERS=["django_tenants.routers.TenantSyncRouter"],
        SHARED_APPS=shared,
        TENANT_APPS=["tests.testapp"],
        INSTALLED_APPS=[*shared, "tests.testapp"],
        TENANT_MODEL="tenantapp.Tenant",
        TENANT_DOMAIN_MODEL="tenantapp.Domain",
        TENANT_LIMIT_SET_CALLS=limit_set_calls == "True",
        DEFAULT_AUTO_FIELD="django.db.models.BigAutoField",
        USE_TZ=True,
    )
    django.setup()
    print(json.dumps(run(int(tasks))))


def run(count: int) -> dict[str, int]:
    """Run a number of tasks at the same time; return what they counted."""
    from django.db import connection, transaction
    from django_tenants.utils import schema_context, tenant_context

    from tests.support.tasks import Task, results
    from tests.tenantapp.models import Tenant
    from tests.testapp.models import Item

    with schema_context("public"), connection.schema_editor() as editor:
        editor.create_model(Tenant)
    tenants = [Tenant.objects.create(schema_name=name) for name in NAMES]
    for tenant in tenants:
        with connection.cursor() as cursor:
            cursor.execute(f"CREATE SCHEMA {tenant.schema_name}")
        with tenant_context(tenant), connection.schema_editor() as editor:
            editor.create_model(Item)
    connection.close()

    def work(number: int) -> tuple[int, int]:
        tenant = tenants[number % len(tenants)]
        name = tenant.schema_name
        wrong = 0
        connection.set_tenant(tenant)
        for _ in range(ROUNDS):
            Item.objects.create(name=name, number=number)
            wrong += Item.objects.exclude(name=name).count()
            with transaction.atomic():
                Item.objects.create(name=name, number=number)
                wrong += sum(item.name != name for item in Item.objects.all())
            wrong += sum(item.name != name for item in Item.objects.iterator(chunk_size=7))
            wrong += connection.tenant is not tenant
        connection.close()
        return 2 * ROUNDS, wrong

    done = results([Task(work, number) for number in range(count)], 120)
    return {"written": sum(written for written, _ in done), "wrong": sum(wrong for _, wrong in done)}


if __name__ == "__main__":
    patch(sys.argv[1])
    main(*sys.argv[2:])
