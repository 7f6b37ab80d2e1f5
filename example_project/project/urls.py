"""All pages are the library's."""

from django.urls import include, path

urlpatterns = [path("", include("library.urls"))]
