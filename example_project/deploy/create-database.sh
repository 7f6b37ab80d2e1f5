#!/bin/sh
# Makes the workers' database and role. The role is no superuser, as the last connections of a full server are for those.
# The image runs this once, on a new volume.
set -e
psql --username postgres --set ON_ERROR_STOP=1 --set password="$DATABASE_PASSWORD" <<'SQL'
CREATE ROLE library LOGIN PASSWORD :'password';
CREATE DATABASE library OWNER library;
SQL
