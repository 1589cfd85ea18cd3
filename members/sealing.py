"""Sealing: what a database column may hold of a secret that must come out again.

AES-256-GCM under a key that is never in the database, bound to whom it is for: a row copied to
somebody else does not open. Keys have versions: the first of PIN_KEYS writes, all of them read.
"""

from __future__ import annotations

import os
from base64 import b64decode, b64encode

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from django.conf import settings

_NONCE = 12


def seal(secret: bytes, *, bound_to: bytes) -> str:
    """Return `version:base64` of `secret`, sealed for what `bound_to` names: kind and owner."""
    version, key = next(iter(settings.PIN_KEYS.items()))
    nonce = os.urandom(_NONCE)
    return f"{version}:{b64encode(nonce + AESGCM(key).encrypt(nonce, secret, bound_to)).decode()}"


def unseal(sealed: str, *, bound_to: bytes) -> bytes | None:
    """Return the secret; None where nothing is stored, the key is unknown, or it is not theirs."""
    version, _separator, body = sealed.partition(":")
    key = settings.PIN_KEYS.get(version)
    if key is None or not body:
        return None
    try:
        raw = b64decode(body)
        return AESGCM(key).decrypt(raw[:_NONCE], raw[_NONCE:], bound_to)
    except (InvalidTag, ValueError):
        return None
