"""What an installation must not be: checked by `check --deploy`, and at the start."""

from __future__ import annotations

import logging
from typing import Any

from django.conf import settings
from django.core.checks import CheckMessage, Error, Tags, register

from members.hashing import RECOMMENDED_MEMORY_KIB

logger = logging.getLogger(__name__)

# How the keys of `.env.example` begin, which everybody can read.
_PUBLISHED_SECRET_KEY = "example-only-never-in-production"  # noqa: S105 published
_PUBLISHED_PIN_KEY = b"example only, never in productio"


@register(Tags.security, deploy=True)
def hashing_memory(app_configs: Any, **how: Any) -> list[CheckMessage]:
    """Refuse hashes that are cheaper to guess at than the recommended ones."""
    if settings.HASHING_MEMORY_KIB >= RECOMMENDED_MEMORY_KIB:
        return []
    found = (
        f"HASHING_MEMORY_KIB is {settings.HASHING_MEMORY_KIB}: passwords are hashed too cheaply."
    )
    return [Error(found, hint=f"Set it to {RECOMMENDED_MEMORY_KIB} or more.", id="portal.E001")]


def published_keys() -> list[str]:
    """Return the names of the settings that hold a key of `.env.example`."""
    names = {
        "SECRET_KEY": settings.SECRET_KEY.startswith(_PUBLISHED_SECRET_KEY),
        "PIN_KEYS": _PUBLISHED_PIN_KEY in settings.PIN_KEYS.values(),
    }
    return [name for name, published in names.items() if published]


def warn_of_published_keys() -> None:
    """Log an error for each in production. The start goes on: it may be what there is to look at.

    Never quotes a key.
    """
    if settings.PLAIN_HTTP:
        return
    for name in published_keys():
        logger.error("%s holds the published key of .env.example: make one of your own", name)
