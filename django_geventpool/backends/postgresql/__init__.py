"""The engine for PostgreSQL, with the driver that Django picked."""
