#!/bin/sh
# Makes the workers' database and their role. All processes that log in as this role share its connections. It is no
# superuser: those are not bound by the limit, and the server reserves some connections for them.
# The image runs this once, on a new volume.
set -e
psql --username postgres --set ON_ERROR_STOP=1 --set password="$DATABASE_PASSWORD" <<'SQL'
CREATE ROLE library LOGIN CONNECTION LIMIT 60 PASSWORD :'password';
CREATE DATABASE library OWNER library;
SQL
