"""A model with geometry, apart from the others because importing it needs GDAL."""

from __future__ import annotations

from django.contrib.gis.db import models


class Place(models.Model):
    name = models.CharField(max_length=100)
    point = models.PointField(geography=True)

    class Meta:
        app_label = "testapp"

    def __str__(self) -> str:
        return self.name
