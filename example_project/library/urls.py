"""The URLs of the library's pages."""

from django.urls import path

from . import views

app_name = "library"
urlpatterns = [
    path("", views.module_list, name="modules"),
    path("<path:path>", views.module_detail, name="module"),
]
