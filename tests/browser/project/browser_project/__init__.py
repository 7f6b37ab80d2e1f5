"""The site of the admin's tests in a browser; its settings and tasks are those of the workers' project."""
