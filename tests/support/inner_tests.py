"""Small tests of which some leave something in a session, for an inner pytest (``inner_pytest``).

Those with "leaves" in their name do, in the lines with LEFT, which say the kind.
"""

from __future__ import annotations

#: What the inner tests begin with. They run for each alias but "default", each of which has one mode and policy.
HEAD = """
import threading
import pytest
from django.db import connections, transaction
from django.test import TestCase
from django_geventpool.errors import SessionStateError
from django_geventpool.utils import close_connection, pinned
from tests.support.tasks import Task

ALIASES = sorted(alias for alias in connections if alias != "default")
REFUSING = [alias for alias in ALIASES if alias.endswith("raise")]
KEEPING = [alias for alias in ALIASES if alias.endswith("pin") or alias.startswith("session") and alias not in REFUSING]
LEAVING = [alias for alias in ALIASES if alias not in REFUSING]
each = pytest.mark.parametrize("alias", ALIASES)
each_that_keeps = pytest.mark.parametrize("alias", KEEPING)
each_that_leaves = pytest.mark.parametrize("alias", LEAVING)
each_that_refuses = pytest.mark.parametrize("alias", REFUSING)
pytestmark = pytest.mark.usefixtures("no_session_state")

def run(alias, *texts):
    with connections[alias].cursor() as cursor:
        for text in texts:
            cursor.execute(text)

@pytest.fixture(autouse=True, scope="module")
def close():
    yield
    connections.close_all()
"""

#: Each leaves something, in the line with LEFT.
LEAVING = """
@each_that_leaves
def test_setting_leaves(alias):
    with connections[alias].cursor() as cursor:
        cursor.execute("SET work_mem = '77MB'")  # LEFT setting

@each_that_leaves
def test_listen_leaves(alias):
    with connections[alias].cursor() as cursor:
        cursor.execute("LISTEN door")  # LEFT listen

@each_that_leaves
def test_advisory_lock_leaves(alias):
    with connections[alias].cursor() as cursor:
        cursor.execute("select pg_try_advisory_lock_shared(82001)")  # LEFT advisory_lock

@each_that_leaves
def test_temporary_table_leaves(alias):
    with transaction.atomic(alias):
        with connections[alias].cursor() as cursor:
            cursor.execute("create temp table if not exists kept ()")  # LEFT temporary_table

@each_that_leaves
def test_prepared_statement_leaves(alias):
    with connections[alias].cursor() as cursor:
        cursor.execute("select 1")
        cursor.execute("DEALLOCATE ALL")
        cursor.execute("PREPARE one AS SELECT 1")  # LEFT prepared_statement

@each_that_leaves
def test_another_task_leaves(alias):
    @close_connection
    def work():
        with connections[alias].cursor() as cursor:
            cursor.execute("SET work_mem = '77MB'")  # LEFT setting
    Task(work).result()

@each_that_leaves
def test_two_and_one_is_undone_leaves(alias):
    with transaction.atomic(alias):
        run(alias, "SET work_mem = '77MB'")
        with connections[alias].cursor() as cursor:
            cursor.execute("SET statement_timeout = '77s'")  # LEFT setting
        run(alias, "RESET work_mem")

@each_that_leaves
def test_a_call_before_an_error_leaves(alias):
    with connections[alias].cursor() as cursor:
        cursor.execute("SET work_mem = '77MB'")  # LEFT setting
    with pytest.raises(Exception, match="division"):
        run(alias, "select 1 / 0")
"""

CLEAN = """
UNDONE = {
    "setting": ("SET work_mem = '77MB'", "RESET work_mem"),
    "function": ("select set_config('work_mem', '77MB', false)", "reset all"),
    "listen": ("listen door; listen gate", "unlisten door", "unlisten gate"),
    "lock": ("select pg_advisory_lock_shared(82002)", "select pg_advisory_unlock_shared(82002)"),
    "locks": ("select pg_advisory_lock_shared(82003)", "select pg_advisory_unlock_all()"),
    "table": ("create temp table kept ()", "drop table kept"),
    "prepared": ("prepare two as select 1", "deallocate two"),
    "cursor": ("declare kept cursor with hold for select 1", "close kept"),
}
undone = pytest.mark.parametrize("texts", UNDONE.values(), ids=UNDONE)

@each_that_leaves
@undone
def test_undone_in_a_transaction(alias, texts):
    with transaction.atomic(alias):
        run(alias, *texts)

@each_that_keeps
@undone
def test_undone(alias, texts):
    for text in texts:
        run(alias, text)

@each_that_keeps
def test_undone_by_a_fixture(alias, work_mem):
    work_mem(alias)

@pytest.fixture
def work_mem():
    used = []
    def use(alias):
        used.append(alias)
        run(alias, "SET work_mem = '77MB'")
    yield use
    for alias in used:
        run(alias, "RESET work_mem")

@each
@undone
def test_pinned(alias, texts):
    with pinned(alias):
        run(alias, texts[0])
    connections[alias].close()

@each
def test_of_the_transaction(alias):
    with transaction.atomic(alias):
        run(alias, "SET LOCAL work_mem = '77MB'", "select pg_advisory_xact_lock_shared(82004)")

@each_that_leaves
def test_what_has_failed(alias):
    with pytest.raises(Exception, match="work_mem"):
        run(alias, "SET work_mem = 'nonsense'")
    with transaction.atomic(alias), pytest.raises(Exception, match="prepare"), transaction.atomic(alias):
        run(alias, "prepare three as select 1 frm prepare")

@each_that_leaves
def test_undone_before_something_fails(alias):
    with transaction.atomic(alias):
        run(alias, "SET work_mem = '77MB'")
        run(alias, "RESET work_mem")
        with pytest.raises(Exception, match="division"), transaction.atomic(alias):
            run(alias, "select 1 / 0")

@each_that_leaves
def test_a_lock_that_another_has(alias):
    run("default", "select pg_advisory_lock(82005)")
    run(alias, "select pg_try_advisory_lock(82005)")
    with transaction.atomic(alias):
        run(alias, "select pg_try_advisory_lock(82005)")
    run("default", "select pg_advisory_unlock(82005)")

@each_that_refuses
def test_refused(alias):
    with pytest.raises(SessionStateError):
        run(alias, "SET work_mem = '77MB'")

@each_that_leaves
@pytest.mark.leaves_session_state
def test_that_may(alias):
    run(alias, "SET work_mem = '77MB'")

@each_that_leaves
@pytest.mark.leaves_session_state("listen", "setting")
def test_that_may_some(alias):
    run(alias, "SET work_mem = '77MB'")

@pytest.mark.parametrize("alias", LEAVING)
def test_what_an_earlier_test_has_left(alias):
    run(alias, "select 1")
"""


#: As Django's TestCase and pytest-django's ``db`` have it: one transaction for the whole test, or for all of a class.
DJANGO = """
class TestOfDjango(TestCase):
    databases = set(LEAVING)

    @classmethod
    def setUpTestData(cls):
        for alias in LEAVING:
            run(alias, "SET statement_timeout = '77s'")

    def test_leaves(self):
        for alias in LEAVING:
            with connections[alias].cursor() as cursor:
                cursor.execute("SET work_mem = '77MB'")  # LEFT setting

    def test_leaves_a_lock(self):
        for alias in LEAVING:
            with connections[alias].cursor() as cursor:
                cursor.execute("select pg_advisory_lock_shared(82006)")  # LEFT advisory_lock

    def test_undoes(self):
        for alias in LEAVING:
            with transaction.atomic(alias):
                run(alias, "SET work_mem = '77MB'", "select pg_advisory_lock_shared(82007)")
            run(alias, "RESET work_mem", "select pg_advisory_unlock_shared(82007)")
            run(alias, "select pg_advisory_lock_shared(82013)", "select pg_advisory_unlock_all()")
            run(alias, "select pg_advisory_lock_shared(82014)", "select pg_advisory_unlock_shared(82014)")
            run(alias, "select pg_advisory_xact_lock_shared(82012)")
            with pytest.raises(Exception, match="division"), transaction.atomic(alias):
                run(alias, "select 1 / 0")

def in_transactions():
    case = type("Case", (TestCase,), {"databases": set(LEAVING)})
    case.setUpClass()
    yield
    case.tearDownClass()

@pytest.fixture
def db():
    yield from in_transactions()

@pytest.fixture
def early_db():
    yield from in_transactions()

@each_that_leaves
def test_db_leaves(alias, db):
    with connections[alias].cursor() as cursor:
        cursor.execute("LISTEN door")  # LEFT listen

@each_that_leaves
def test_db_undoes(alias, db):
    run(alias, "LISTEN door", "select pg_advisory_lock_shared(82008)")
    run(alias, "UNLISTEN door", "select pg_advisory_unlock_shared(82008)")

@pytest.mark.usefixtures("early_db", "no_session_state")
class TestEarlier:
    @each_that_leaves
    def test_leaves(self, alias):
        with connections[alias].cursor() as cursor:
            cursor.execute("CREATE TEMP TABLE kept ()")  # LEFT temporary_table

    @each_that_leaves
    def test_undoes(self, alias):
        run(alias, "CREATE TEMP TABLE kept ()", "select pg_advisory_lock_shared(82009)")
        run(alias, "DROP TABLE kept", "select pg_advisory_unlock_shared(82009)")
"""

#: Ways around Django, and holders that don't give back.
OTHER_WAYS = """
@each_that_leaves
def test_drivers_cursor_leaves(alias):
    connections[alias].ensure_connection()
    with connections[alias].connection.cursor() as cursor:
        cursor.execute(b"LISTEN door")  # LEFT listen

@each_that_leaves
def test_executemany_leaves(alias):
    with transaction.atomic(alias), connections[alias].cursor() as cursor:
        cursor.executemany("select set_config(%s, %s, false)", [("work_mem", "77MB")])  # LEFT setting

@each_that_leaves
def test_callproc_leaves(alias):
    with connections[alias].cursor() as cursor:
        cursor.callproc("pg_try_advisory_lock_shared", [82010])  # LEFT advisory_lock

@each_that_leaves
def test_callproc_undoes(alias):
    with transaction.atomic(alias):
        run(alias, "select pg_advisory_lock_shared(82011)")
        with connections[alias].cursor() as cursor:
            cursor.callproc("pg_advisory_unlock_all")

@each_that_leaves
def test_a_task_that_just_ends_leaves(alias):
    def work():
        with connections[alias].cursor() as cursor:
            cursor.execute("SET work_mem = '77MB'")  # LEFT setting
    Task(work).result()

@each_that_leaves
def test_a_task_that_goes_on_leaves(alias, gate, tasks):
    begun = threading.Event()
    def work():
        with transaction.atomic(alias), connections[alias].cursor() as cursor:
            cursor.execute("SET work_mem = '77MB'")  # LEFT setting
            begun.set()
            gate.wait(60)
        connections.close_all()
    tasks.append(Task(work))
    assert begun.wait(60)

@pytest.fixture(scope="module")
def gate():
    return threading.Event()

@pytest.fixture(scope="module")
def tasks(gate):
    tasks = []
    yield tasks
    gate.set()
    for task in tasks:
        task.result()

@each_that_leaves
def test_a_connection_that_is_closed_undoes(alias):
    run(alias, "select 1")
    with pytest.raises(Exception), transaction.atomic(alias):
        run(alias, "SET work_mem = '77MB'", "select pg_terminate_backend(pg_backend_pid())")
"""


#: The same, with psycopg 3.
PIPELINE = """
@each_that_leaves
def test_pipeline_leaves(alias):
    connections[alias].ensure_connection()
    with connections[alias].connection.pipeline():
        connections[alias].connection.execute("LISTEN door")  # LEFT listen

@each_that_leaves
def test_client_cursor_leaves(alias):
    connections[alias].ensure_connection()
    with psycopg.ClientCursor(connections[alias].connection) as cursor:
        cursor.execute("LISTEN door")  # LEFT listen
"""

#: A task that is killed in the middle of a query: its connection is closed.
KILLED = """
@each_that_leaves
def test_killed(alias):
    begun = threading.Event()

    def work():
        with transaction.atomic(alias):
            run(alias, "SET work_mem = '77MB'")
            begun.set()
            run(alias, "select pg_sleep(60)")

    task = Task(work)
    assert begun.wait(60)
    task.interrupt()
    task.wait()
"""

#: Tests without a word of the fixture, one database.
ALL = """
import pytest
from django.db import connection

def leave():
    with connection.cursor() as cursor:
        cursor.execute("SET work_mem = '77MB'")

def test_leaves():
    leave()

@pytest.mark.leaves_session_state("setting")
def test_may():
    leave()

@pytest.mark.leaves_session_state("listen")
def test_leaves_another():
    leave()

@pytest.mark.leaves_session_state("settings")
def test_misspelt():
    leave()

def test_uses_nothing():
    pass
"""
