"""Stands before psycopg 3 on the path of tests that are to run over psycopg2, and so of Django, which prefers it."""

raise ImportError("hidden from the tests of psycopg2")
