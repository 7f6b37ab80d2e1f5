"""Settings of Django's test suite, read from a variable that the parent process sets."""

import json
import os

# Django's own settings for all of its tests, in their folder.
from test_sqlite import *  # noqa: F403

_suite = json.loads(os.environ["DJANGO_SUITE"])
DATABASES = _suite["databases"]
TEST_RUNNER = "suite_runner.RecordingRunner"
OUTCOMES_FILE = _suite["outcomes_file"]
