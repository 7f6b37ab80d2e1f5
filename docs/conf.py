"""Sphinx makes the site from these pages: ``tox -e docs``."""

from importlib.metadata import version as version_of

import django
from django.conf import settings

# Sphinx imports the packages for their docstrings; nothing connects.
settings.configure(INSTALLED_APPS=["django.contrib.contenttypes"], USE_TZ=True)
django.setup()

project = "celery-geventpool"
author = "celery-geventpool contributors"
release = version_of(project)
html_title = f"{project} {release}"

extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinxcontrib.mermaid"]
html_theme = "furo"
html_theme_options = {
    "source_repository": "https://github.com/geventpool/celery-geventpool/",
    "source_branch": "main",
    "source_directory": "docs/",
}
html_copy_source = False
exclude_patterns = ["_build"]

# Links to headings are those that the repository's own pages have.
myst_heading_anchors = 4
myst_enable_extensions = ["colon_fence", "deflist"]
myst_fence_as_directive = ["mermaid"]
# Not only links to pages, but also each anchor behind `#` has to exist.
nitpicky = True
nitpick_ignore_regex = [("py:.*", ".*")]

autodoc_typehints = "description"
autodoc_typehints_description_target = "documented_params"
autodoc_member_order = "bysource"
