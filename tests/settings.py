"""The portal's own settings, in an environment that no `.env` and no shell can disturb."""

import os
from pathlib import Path

_WORK = Path(__file__).resolve().parent.parent / "var" / "tests"
_WORK.mkdir(parents=True, exist_ok=True)
_PIN_KEY = "dGVzdHMgb25seSwgbmV2ZXIgaW4gcHJvZHVjdGlvbiE="

os.environ.update(
    DEBUG="off",
    SECRET_KEY="tests-only-" + "k" * 50,
    PIN_KEYS=f"v1:{_PIN_KEY}",
    DATABASE_URL=os.environ.get("TEST_DATABASE_URL", f"sqlite:///{_WORK}/portal.sqlite3"),
    CACHE_URL="locmemcache://",
    EMAIL_URL="memorymail://",
    DEFAULT_FROM_EMAIL="member-service@portal.example",
    ALLOWED_HOSTS="testserver,localhost,127.0.0.1",
    TRUSTED_PROXIES="1",
    # The same algorithm, cheaper.
    HASHING_MEMORY_KIB="64",
)

from portal.settings import *  # noqa: E402, F403
from portal.settings import DATABASES, STORAGES  # noqa: E402

# A file, not memory: tests with threads need a database that connections share.
if DATABASES["default"]["ENGINE"].endswith("sqlite3"):
    DATABASES["default"]["TEST"] = {"NAME": DATABASES["default"]["NAME"] + ".test"}
# No collected files needed.
STATIC_ROOT = _WORK / "static"
STATIC_ROOT.mkdir(exist_ok=True)
STORAGES["staticfiles"]["BACKEND"] = "django.contrib.staticfiles.storage.StaticFilesStorage"
