"""The engine for PostgreSQL, by its old name: it takes whichever driver Django picked, too."""
