"""Short secrets that go out and come back: mailed codes and tickets.

Both are short enough to be guessed, so every one of them has a count of its own; and what is
stored is a keyed hash, useless without SECRET_KEY.
"""

from __future__ import annotations

import secrets

from django.utils.crypto import constant_time_compare, salted_hmac


def random_digits(length: int) -> str:
    """Return `length` random digits."""
    return f"{secrets.randbelow(10**length):0{length}}"


def random_binding() -> str:
    """Return a token that ties a flow to the browser session that began it."""
    return secrets.token_urlsafe(24)


def digest(purpose: str, *parts: str) -> str:
    """Return the keyed hash of `parts` for one purpose: 64 hexadecimal digits."""
    message = "\0".join(parts)
    return salted_hmac(f"credentials.{purpose}", message, algorithm="sha256").hexdigest()


def same(one: str, other: str) -> bool:
    """Whether two digests are equal and not empty, in constant time."""
    return bool(one) and constant_time_compare(one, other)
