"""What is measured: a Django project that runs in the environment of each contender, with its settings."""
