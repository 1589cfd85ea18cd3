"""One-time codes of an authenticator app: RFC 6238, as every such app makes them.

SHA-1, six digits, thirty seconds: what all apps read from the QR code; several ignore anything
else that it says. HMAC-SHA-1 is not touched by the collisions of SHA-1 (RFC 6238, section 1.2).
"""

from __future__ import annotations

import os
from base64 import b32encode
from datetime import datetime

import segno
from cryptography.hazmat.primitives.hashes import SHA1
from cryptography.hazmat.primitives.twofactor.hotp import HOTP
from cryptography.hazmat.primitives.twofactor.totp import TOTP
from django.utils.crypto import constant_time_compare

LENGTH = 6
STEP_SECONDS = 30
# How many steps the phone's clock may be off: RFC 6238, section 5.2, recommends one.
_DRIFT = 1
_SECRET_BYTES = 20


def new_secret() -> bytes:
    """Return a random secret as long as RFC 4226 recommends: 160 bits."""
    return os.urandom(_SECRET_BYTES)


def in_letters(secret: bytes) -> str:
    """Return the secret as one types it into an app: 32 letters and digits (base 32)."""
    return b32encode(secret).decode()


def step_at(moment: datetime) -> int:
    """Return the number of the thirty-second step that `moment` is in."""
    return int(moment.timestamp()) // STEP_SECONDS


def code_at(secret: bytes, step: int) -> str:
    """Return the six digits that the app shows in this step."""
    return HOTP(secret, LENGTH, SHA1()).generate(step).decode()  # noqa: S303 see above


def step_of(code: str, secret: bytes, *, now: datetime, after: int = 0) -> int | None:
    """Return the step in which the app shows `code`, if that is about `now` and after `after`.

    `after` is the step of the last code used: neither that one nor an earlier one works again.
    """
    this = step_at(now)
    found = None
    for step in range(this - _DRIFT, this + _DRIFT + 1):
        if constant_time_compare(code_at(secret, step), code) and step > after:
            found = step
    return found


def address(secret: bytes, *, name: str, issuer: str) -> str:
    """Return the `otpauth:` address that an app reads from the QR code."""
    return TOTP(secret, LENGTH, SHA1(), STEP_SECONDS).get_provisioning_uri(name, issuer)  # noqa: S303 see above


def qr_code(text: str) -> str:
    """Return a QR code of `text` as a data: address of an SVG, black on white."""
    svg: str = segno.make(text, error="m", micro=False).svg_data_uri(scale=5, light="#fff")
    return svg
