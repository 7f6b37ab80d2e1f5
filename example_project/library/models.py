"""The tables of modules and of their definitions."""

from __future__ import annotations

from django.db import models
from django.urls import reverse


class Module(models.Model):
    """A source file, as it was when a task last indexed it."""

    path = models.TextField(unique=True)
    name = models.TextField()
    lines = models.PositiveIntegerField()
    parsable = models.BooleanField(help_text="False for files that are no Python for the Python that indexed them.")
    indexed_at = models.DateTimeField(auto_now=True)

    class Meta:
        ordering = ("path",)

    def __str__(self) -> str:
        return self.name

    def get_absolute_url(self) -> str:
        """Return the URL of the module's page."""
        return reverse("library:module", kwargs={"path": self.path})


class Definition(models.Model):
    """A function or class that a module defines, nested ones included."""

    class Kind(models.TextChoices):
        """The kind of a definition."""

        FUNCTION = "function"
        CLASS = "class"

    module = models.ForeignKey(Module, on_delete=models.CASCADE, related_name="definitions")
    kind = models.CharField(max_length=8, choices=Kind.choices)
    name = models.TextField()
    line = models.PositiveIntegerField()

    class Meta:
        ordering = ("line",)
        constraints = [models.UniqueConstraint(fields=["module", "line", "name"], name="library_definition_once")]

    def __str__(self) -> str:
        return f"{self.kind} {self.name}"
