"""How settings are read from the environment: `.env` beside manage.py first, the process wins."""

from __future__ import annotations

from base64 import b64decode
from binascii import Error as BadBase64
from pathlib import Path

import environ
from django.core.exceptions import ImproperlyConfigured
from limits import parse

BASE_DIR = Path(__file__).resolve().parent.parent
env = environ.Env()
env.read_env(BASE_DIR / ".env")


def pin_keys(text: str) -> dict[str, bytes]:
    """Return the keys of `version:base64,version:base64`, in that order.

    Raises ImproperlyConfigured, which never quotes a key.
    """
    keys = {}
    for number, part in enumerate(filter(None, text.replace(" ", "").split(",")), start=1):
        version, _colon, encoded = part.partition(":")
        try:
            key = b64decode(encoded, validate=True)
        except BadBase64:
            key = b""
        if not version or len(key) != 32 or version in keys:
            raise ImproperlyConfigured(
                f"PIN_KEYS: entry {number} is not `version:base64` of 32 bytes under a version "
                "of its own."
            )
        keys[version] = key
    if not keys:
        raise ImproperlyConfigured("PIN_KEYS is empty.")
    return keys


def positive(name: str, default: int) -> int:
    """Return the whole number at or above 1 that the environment gives for `name`."""
    value: int = env.int(name, default=default)
    if value < 1:
        raise ImproperlyConfigured(f"{name} must be at least 1.")
    return value


def rate(name: str, default: str) -> str:
    """Return how many in what time the environment gives for `name`, like `10/hour`."""
    value: str = env.str(name, default=default)
    try:
        parse(value)
    except ValueError:
        raise ImproperlyConfigured(f"{name} must be like {default}.") from None
    return value


def one_of(name: str, default: str, *others: str) -> str:
    """Return what the environment gives for `name`: `default` or one of the others."""
    value: str = env.str(name, default=default)
    if value not in (default, *others):
        raise ImproperlyConfigured(f"{name} must be one of: {', '.join((default, *others))}.")
    return value
