"""The measured Django project, which runs in each contender's environment, with its settings."""
