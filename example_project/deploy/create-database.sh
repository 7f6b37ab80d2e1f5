#!/bin/sh
# Makes the workers' database and their role. It is no superuser: for those, the server reserves some connections.
# The image runs this once, on a new volume.
set -e
psql --username postgres --set ON_ERROR_STOP=1 --set password="$DATABASE_PASSWORD" <<'SQL'
CREATE ROLE library LOGIN PASSWORD :'password';
CREATE DATABASE library OWNER library;
SQL
