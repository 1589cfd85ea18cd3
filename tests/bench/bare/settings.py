"""The portal's own settings, with one address more: a view that does nothing."""

import os

from portal.settings import *  # noqa: F403

ROOT_URLCONF = "tests.bench.bare.urls"
if os.environ.get("BARE") == "no middleware":
    MIDDLEWARE = []
