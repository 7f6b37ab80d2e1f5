"""What SQL may change in its session, recognised by its text."""

from __future__ import annotations

import time
from collections.abc import Collection

import pytest

from django_geventpool.drivers.session.changes import changes_of
from django_geventpool.drivers.session.state import (
    CHARACTERISTICS,
    CURSORS,
    IDENTITY,
    Scope,
    SessionState,
    reset_settings,
    reset_statement,
)

ANY = IDENTITY | CHARACTERISTICS


@pytest.mark.parametrize(
    ("sql", "changes"),
    [
        ("select 1", 0),
        ('UPDATE "auth_user" SET "role" = %s WHERE "id" = %s', 0),
        ("update users set role = 'x'", 0),
        ("set local role x", 0),
        ("begin; set /* here */ local role x; commit", 0),
        ("set transaction isolation level serializable", 0),
        ("set app.role = 'x'", 0),
        ("set app.current_role = 'x'", 0),
        ("SELECT set_config('TimeZone', %s, false)", 0),
        ("reset all", 0),
        ("SET ROLE x", IDENTITY),
        (b"set role x", IDENTITY),
        ("select 1; -- so\n reset role", IDENTITY),
        ("/* * a comment */ set session authorization x", IDENTITY),
        ("discard all", IDENTITY),
        ('set u&"r\\006fle" = x', ANY),
        ("select set_config(%s, %s, false)", ANY),
        ("select \"set_config\" ('role', 'x', false)", IDENTITY),
        ("prepare p as select set_config('role', $1, false)", IDENTITY),
        ("execute p", ANY),
        ("call p()", ANY),
        ("set session characteristics as transaction read only", CHARACTERISTICS),
        ("set default_transaction_isolation = 'serializable'", CHARACTERISTICS),
        ("update pg_settings set setting = 'x' where name = %s", ANY),
        ("declare c cursor with hold for select 1", CURSORS),
        ("declare c cursor for select 1", 0),
        ("insert into x values (1);" + " " * 5000 + "set role x", IDENTITY),
    ],
)
def test_what_sql_changes(sql: str | bytes, changes: int) -> None:
    assert changes_of(sql) == changes
    session = SessionState()
    session.note(sql)
    session.note(sql)
    assert session.changes & (ANY | CURSORS) == changes


def test_everything_is_put_back_in_one_string() -> None:
    assert reset_statement(0) == ""
    assert reset_statement(CURSORS) == "CLOSE ALL"
    assert reset_statement(ANY | CURSORS).count(";") == 5


@pytest.mark.parametrize("data", ["; /* ", ";--", "; set /*", "';' set_config "])
def test_data_that_looks_like_commands_takes_no_long_time(data: str) -> None:
    began = time.process_time()
    changes_of(f"insert into x values ('{data * 50_000}')")
    assert time.process_time() - began < 5


class Owner:
    """Lets state be made, or not."""

    def __init__(self, scope: Scope | Exception = Scope.KEPT) -> None:
        self.scope = scope
        self.kinds: list[tuple[str, ...]] = []

    def scope_of_state(self, kinds: Collection[str], *, is_sent: bool) -> Scope:
        self.kinds.append(tuple(kinds))
        if isinstance(self.scope, Exception):
            raise self.scope
        return self.scope


def owned(scope: Scope | Exception = Scope.KEPT) -> tuple[SessionState, Owner]:
    session, owner = SessionState(), Owner(scope)
    session.owner = lambda: owner
    return session, owner


def run(session: SessionState, sql: str, *, is_in_transaction: bool = False) -> None:
    """Record a statement that succeeds."""
    if noted := session.note(sql):
        session.confirm(noted, is_in_transaction=is_in_transaction)


def test_nothing_is_asked_about_statements_that_do_nothing() -> None:
    session, owner = owned()
    for sql in ("select 1", "set local a = 1", "reset a", "call p()"):
        run(session, sql)
    assert owner.kinds == []
    assert not session.kinds_kept
    assert not session.is_dirty()


def test_what_is_made_is_kept_until_it_is_undone() -> None:
    session, owner = owned()
    run(session, "set a = 1; listen x")
    assert owner.kinds == [("setting", "listen")]
    assert session.kinds_kept == {"setting", "listen"}
    noted = session.note("reset a")
    assert "setting" in session.kinds_kept, "it may fail"
    session.confirm(noted, is_in_transaction=False)
    assert session.kinds_kept == {"listen"}
    run(session, "unlisten y")
    assert session.kinds_kept == {"listen"}
    run(session, "discard all")
    assert not session.is_dirty()


def test_all_the_names_are_undone_but_the_role_by_reset_all() -> None:
    session, _ = owned()
    run(session, "select set_config(%s, 'x', false); set b = 1; set role x")
    run(session, "reset b")
    assert session.is_dirty()
    run(session, "reset all")
    assert session.kinds_kept == {"setting"}
    assert not session.is_dirty(), "the role is put back by itself"


def test_a_setting_that_is_set_again_may_be_set_back() -> None:
    session, owner = owned(Scope.SET_UP)
    run(session, "set c = 1")
    owner.scope = Scope.KEPT
    run(session, "set a = 1; set b = 1; set role x")
    assert session.settings_set_again() == []
    run(session, "set a = 0; select set_config(%s, 'x', false)")
    assert session.settings_set_again() == ["a"]
    run(session, "set c = 2; set c = 3; set role y")
    assert session.settings_set_again() == ["a"], "it was set up, and that is put back"
    session.record_set_back(["a"])
    assert session.settings_set_again() == []
    session.note_rollback()
    assert session.settings_set_again() == ["b"]
    run(session, "reset b")
    assert session.settings_set_again() == []
    session.end_loan()
    run(session, "set a = 1")
    assert session.settings_set_again() == []


def test_a_refusal_records_nothing() -> None:
    session, _ = owned(LookupError())
    with pytest.raises(LookupError):
        session.note("set role x")
    assert not session.changes
    assert not session.kinds_kept


def test_what_a_pinned_block_makes_keeps_nothing_and_is_cleared() -> None:
    session, owner = owned(Scope.PASSING)
    run(session, "set a = 1")
    assert not session.kinds_kept
    assert session.is_dirty()
    owner.scope = Scope.KEPT
    run(session, "set a = 2")
    assert session.kinds_kept == {"setting"}


def test_what_was_set_up_is_changed_by_a_reset() -> None:
    session, owner = owned(Scope.SET_UP)
    run(session, "set a = 1")
    assert not session.kinds_kept
    assert not session.is_dirty()
    assert session.has_lasting_set_up()
    owner.scope = Scope.KEPT
    run(session, "reset b")
    assert not session.is_dirty()
    run(session, "reset a")
    assert session.kinds_kept == {"setting"}
    assert session.is_dirty()
    session.end_loan()
    assert not session.is_dirty()
    session.begin_anew()
    assert not session.has_lasting_set_up()


def test_settings_that_were_set_up_are_reset_one_by_one() -> None:
    session, _ = owned(Scope.SET_UP)
    run(session, "set App.User = 'x'; set time zone 'UTC'; set \"work_mem\" = 1")
    assert session.settings_set_up() == {"app.user", "work_mem"}
    assert reset_settings({"app.user", "work_mem"}) == 'RESET "app"."user"; RESET "work_mem"'
    run(session, "listen x")
    assert session.settings_set_up() is None


def test_what_the_pool_itself_has_set_is_changed_by_a_reset() -> None:
    session = SessionState()
    run(session, "select set_config('role', %s, false)")
    session.begin()
    assert not session.kinds_kept
    run(session, "reset role")
    assert session.kinds_kept == {"setting"}
    session.begin_anew()
    run(session, "set role none")
    assert session.kinds_kept == {"setting"}


def test_what_a_transaction_undoes_counts_once_it_is_committed() -> None:
    session, _ = owned()
    run(session, "set a = 1")
    run(session, "reset a", is_in_transaction=True)
    assert session.kinds_kept
    session.note_rollback()
    session.confirm_commit()
    assert session.kinds_kept
    run(session, "reset a", is_in_transaction=True)
    run(session, 'rollback to "x"', is_in_transaction=True)
    session.confirm_commit()
    assert session.kinds_kept
    run(session, "reset a", is_in_transaction=True)
    run(session, "set a = 2", is_in_transaction=True)
    session.confirm_commit()
    assert session.kinds_kept
    run(session, "reset a", is_in_transaction=True)
    session.confirm_commit()
    assert not session.kinds_kept


def test_only_the_server_knows_of_locks_that_were_tried() -> None:
    session, _ = owned()
    run(session, "select pg_advisory_unlock(1)")
    assert not session.may_have_lock, "there is none that could keep the connection"
    session.record_locks(has_any=False)
    run(session, "select pg_advisory_lock(1)")
    assert not session.may_have_lock, "there is no doubt"
    run(session, "select pg_try_advisory_lock(1)")
    assert session.may_have_lock
    session.record_locks(has_any=True)
    assert session.kinds_kept == {"advisory_lock"}
    assert not session.may_have_lock
    run(session, "select pg_advisory_unlock(1)")
    session.record_locks(has_any=False)
    assert not session.kinds_kept
