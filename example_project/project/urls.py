"""The site's URLs, which are all the library's."""

from django.urls import include, path

urlpatterns = [path("", include("library.urls"))]
