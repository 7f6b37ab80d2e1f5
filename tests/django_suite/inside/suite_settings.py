"""Settings of Django's test suite, from the variable that the starting process sets."""

import json
import os

# In the folder of Django's tests: the settings that all of them want.
from test_sqlite import *  # noqa: F403

_suite = json.loads(os.environ["DJANGO_SUITE"])
DATABASES = _suite["databases"]
TEST_RUNNER = "suite_runner.RecordingRunner"
OUTCOMES_FILE = _suite["outcomes_file"]
