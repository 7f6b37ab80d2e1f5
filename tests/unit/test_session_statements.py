"""What SQL does to the state of its session, told from its text."""

from __future__ import annotations

import time

import pytest

from django_geventpool.drivers.session.statements import Effect, Operation, operations_of
from django_geventpool.drivers.session.text import statements_of

WORDS = {effect.value: effect for effect in Effect}


def read(words: str) -> Operation:
    """Return an operation from its words: effect, kind, name; a hyphen for all kinds, nothing for no name."""
    effect, kind, *name = words.split(None, 2)
    return Operation(WORDS[effect], None if kind == "-" else kind, name[0] if name else None)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("sql", "expected"),
    [
        # Settings.
        ("SET statement_timeout = 5", ["do setting statement_timeout"]),
        ("set Statement_Timeout to default", ["undo setting statement_timeout"]),
        ("SET SESSION search_path TO a, b", ["do setting search_path"]),
        ("set schema 'tenant'", ["do setting search_path"]),
        ('set "App.User" = %s', ["do setting app.user"]),
        ("set app . user = 'default'", ["do setting app.user"]),
        ("set names 'latin1'", ["do setting client_encoding"]),
        ("set role x", ["do setting role"]),
        ("set session role none", ["undo setting role"]),
        ("set session authorization x", ["do setting session_authorization"]),
        ("set session session authorization default", ["undo setting session_authorization"]),
        ("reset session authorization", ["undo setting session_authorization"]),
        ("set session characteristics as transaction read only", ["do setting session characteristics"]),
        ("set time zone 'UTC'", ["do setting timezone"]),
        ("set time zone local", ["undo setting timezone"]),
        ("reset time zone", ["undo setting timezone"]),
        ("RESET work_mem", ["undo setting work_mem"]),
        ("reset all", ["undo setting"]),
        ("update pg_settings set setting = '1' where name = 'work_mem'", ["do setting"]),
        ('set u&"work\\005fmem" = 1', ["do setting"]),
        ("set local work_mem = 1", []),
        ("set /* x */ local work_mem = 1", []),
        ("set transaction read only", []),
        ("set session transaction isolation level serializable", []),
        ("set names 'UTF8'", []),
        ("set client_encoding to utf8", []),
        ("set role 'none'", ["undo setting role"]),
        ('set role "none"', ["undo setting role"]),
        ('set search_path = "default"', ["do setting search_path"]),
        ("set\"work_mem\"='1MB'", ["do setting work_mem"]),
        ("with x as (select 1) update pg_catalog.pg_settings set setting = '1'", ["do setting"]),
        ("set constraints all deferred", []),
        ('UPDATE "item" SET "name" = %s', []),
        # set_config.
        ("select set_config('app.user', %s, false)", ["do setting app.user"]),
        ("select pg_catalog.set_config(E'app.user', 'x', %s)", ["do setting app.user"]),
        ('select "set_config" (%s, %s, false)', ["do setting"]),
        ("select set_config('a', coalesce(nullif('b', ''), 'c'), false), 1", ["do setting a"]),
        ("select set_config('a', 'b', true)", []),
        ("select set_config('a', f(1, (2)), TRUE::boolean)", []),
        ("select set_config('a', 'b', 'on')", []),
        ("with x as (select set_config('a', 'b', false)) select * from x", ["do setting a"]),
        ("SELECT set_config('app.user', NULL, false)", ["undo setting app.user"]),
        ("select pg_catalog.set_config ( 'a' , null , 'off' );", ["undo setting a"]),
        ("select set_config('a', null, false) where random() < 0.5", ["do setting a"]),
        ("select set_config(%s, null, false)", ["do setting"]),
        ("select set_config('a', null, true)", []),
        ("SELECT set_config('TimeZone', %s, false)", ["do setting timezone"]),
        ("select set_config('a', 'b', (true))", []),
        ("select set_limit(0.9)", ["do setting pg_trgm.similarity_threshold"]),
        ("select 'set_config(a, b, false)'", []),
        # Channels.
        ("listen door", ["do listen door"]),
        ('LISTEN "Door"', ["do listen Door"]),
        ("listen Door", ["do listen door"]),
        ("unlisten door", ["undo listen door"]),
        ("UNLISTEN *", ["undo listen"]),
        ("notify door", []),
        # Locks.
        ("select pg_advisory_lock(%s)", ["do advisory_lock"]),
        ("select pg_catalog.pg_advisory_lock_shared(1, 2)", ["do advisory_lock"]),
        ("SELECT pg_try_advisory_lock (1)", ["try advisory_lock"]),
        ("select 1 where pg_try_advisory_lock_shared(1)", ["try advisory_lock"]),
        ("select pg_advisory_unlock(1)", ["release advisory_lock"]),
        ("select pg_advisory_unlock_all()", ["release advisory_lock"]),
        ("select pg_advisory_xact_lock(1), pg_try_advisory_xact_lock_shared(1)", []),
        ("select my_pg_advisory_lock(1)", []),
        ("explain select pg_advisory_lock(1)", []),
        ("explain (analyze) select pg_advisory_lock(1)", ["do advisory_lock"]),
        ("EXPLAIN ANALYSE VERBOSE SELECT pg_advisory_lock(1)", ["do advisory_lock"]),
        ("explain (analyse, buffers) select pg_advisory_lock(1)", ["do advisory_lock"]),
        ("create view v as select pg_advisory_lock(1)", []),
        ("create materialized view v as select pg_advisory_lock(1)", ["do advisory_lock"]),
        (
            "create function f() returns int begin atomic select pg_advisory_lock(1); select 1; end; listen x",
            ["do listen x"],
        ),
        # Temporary tables.
        ("create temp table x (n int)", ["do temporary_table x"]),
        ('CREATE TEMPORARY TABLE IF NOT EXISTS pg_temp."X" AS SELECT 1', ["do temporary_table X"]),
        ("create local temp view v as select 1", ["do temporary_table v"]),
        ("create temp sequence s", ["do temporary_table s"]),
        ("create table pg_temp.x ()", ["do temporary_table x"]),
        ("select 1 as n into temp table x", ["do temporary_table x"]),
        ("create temp table x (n int) on commit drop", []),
        ("create temp table x (n int) on commit delete rows", ["do temporary_table x"]),
        ("create table temp (n int)", []),
        ('create temp table"X"(n int)', ["do temporary_table X"]),
        ("create temp table %s (n int)", ["do temporary_table"]),
        ("select 1 as n into temp %s", ["do temporary_table"]),
        ("select 1 as n into/**/temp x", ["do temporary_table x"]),
        ("select 1 as n into pg_temp.x", ["do temporary_table x"]),
        ("insert into pg_temp.x values (1)", []),
        ("insert into temp values (1)", []),
        ("explain analyze create temp table x as select 1", ["do temporary_table x"]),
        ("explain create temp table x as select 1", []),
        ("create or replace function pg_temp.f() returns int language sql as 'select 1'", ["do temporary_table"]),
        ("create type pg_temp.t as enum ('a')", ["do temporary_table"]),
        ("create table x as select * from pg_temp.y", []),
        ("alter table x rename to y", ["rename temporary_table x"]),
        ("alter table x rename column a to b", []),
        ('drop table if exists x, "Y", public.z', ["undo temporary_table x", "undo temporary_table Y"]),
        ("discard temp", ["undo temporary_table"]),
        # Prepared statements, cursors, libraries.
        ("prepare p (int) as select $1", ["do prepared_statement p"]),
        ("prepare transaction 'x'", ["commit -"]),
        ("deallocate prepare p", ["undo prepared_statement p"]),
        ("deallocate all", ["undo prepared_statement"]),
        ('deallocate "all"', ["undo prepared_statement all"]),
        ("declare c no scroll cursor with hold for select 1", ["do cursor_with_hold c"]),
        ("declare c cursor for select 1", []),
        ("close c", ["undo cursor_with_hold c"]),
        ("close all", ["undo cursor_with_hold"]),
        ('close "all"', ["undo cursor_with_hold all"]),
        ("load 'age'", ["do loaded_library age"]),
        ("discard all", ["undo -"]),
        ("discard plans", []),
        # Texts.
        (b"set a = 1", ["do setting a"]),
        ("  -- why\n/* and /* nested */ so */ set a = 1", ["do setting a"]),
        ("begin; set a = 1; listen x; commit;", ["do setting a", "do listen x", "commit -"]),
        ("begin; reset a; end", ["undo setting a", "commit -"]),
        ("commit prepared 'x'", []),
        ("set a = 1; reset a", ["do setting a", "undo setting a"]),
        ("begin; reset a; rollback", ["rollback -"]),
        ('ROLLBACK TO SAVEPOINT "s1"', ["rollback -"]),
        ("select '; set a = 1'", []),
        ("select E'\\'; set a = 1'", []),
        ('select ";set a = 1"', []),
        ("select 1 -- ; set a = 1", []),
        ("-- the end of a line\rset a = 1", ["do setting a"]),
        ("do $$ begin; set a = 1; end $$", []),
        ("create function f() returns void as $f$ begin; set a = $$1$$; end $f$ language plpgsql", []),
        ("call p()", []),
        ("execute p", []),
        ("", []),
        (";;", []),
        ("set", ["do setting"]),
        ("select 'without an end", []),
        ("select $a$ without an end; set a = 1", []),
        ("/* without an end; set a = 1", []),
    ],
)
def test_what_sql_does(sql: str | bytes, expected: list[str]) -> None:
    text = sql.decode() if isinstance(sql, bytes) else sql
    assert list(operations_of(text)) == [read(words) for words in expected]


@pytest.mark.parametrize(
    "data",
    ["; /* ", ";--", "into the ", "into temp", "; set /*", "';' set_config ", "set_config(", "$a$;", '";', "e'\\"],
)
@pytest.mark.parametrize("quote", ["'", ""])
def test_data_that_looks_like_commands_takes_no_long_time(data: str, quote: str) -> None:
    began = time.process_time()
    operations_of(f"insert into x values ({quote}{data * 50_000}{quote})")
    assert time.process_time() - began < 5


def test_statements_are_cut_where_they_end() -> None:
    statements = statements_of("SELECT  'a;''b' ;\n select \"X\", \"y\" -- ;\n")
    assert [statement.code for statement in statements] == ["select '0'", 'select "1" , y']
    assert statements[0].quoted == ["a;'b", "X"]
