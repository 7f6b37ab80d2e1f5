"""The page "Connection pools" in Django's admin: what it asks all workers, shows and changes."""
