"""What a password may be, beyond what Django's validators say.

Length matters, composition does not (SP 800-63B-4 §3.1.1.2): 12 to 128 characters, common ones
and ones with the member's own data refused, with the reason.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Iterator
from itertools import pairwise
from typing import Any

from django.conf import settings
from django.core.exceptions import ValidationError
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from members.models import User


def plain(password: str) -> str:
    """Return a password as it is hashed: typed full-width or half-width, it is the same."""
    return unicodedata.normalize("NFKC", password)


class MaximumLengthValidator:
    """Refuses what would only cost hashing time."""

    def __init__(self, max_length: int) -> None:
        self.max_length = max_length

    def validate(self, password: str, user: Any = None) -> None:
        """Raise ValidationError where the password is too long."""
        if len(password) > self.max_length:
            raise ValidationError(self.get_help_text(), code="password_too_long")

    def get_help_text(self) -> str:
        return ngettext(
            "A password has at most %(count)d character.",
            "A password has at most %(count)d characters.",
            self.max_length,
        ) % {"count": self.max_length}


class PatternValidator:
    """Refuses one short piece repeated, and runs of letters or digits, however long.

    They stand in every list of guesses; a list of common passwords cannot hold them all.
    """

    longest_piece = 8

    def validate(self, password: str, user: Any = None) -> None:
        """Raise ValidationError where the password is such a pattern."""
        folded = password.casefold()
        if _shortest_piece(folded) <= min(self.longest_piece, len(folded) - 1):
            raise ValidationError(
                _("Choose a password that is not one piece repeated."), code="password_repeated"
            )
        steps = {(ord(b) - ord(a)) % 10 for a, b in pairwise(folded)}
        if steps in ({1}, {9}):
            raise ValidationError(
                _("Choose a password that is not a run of letters or digits."), code="password_run"
            )

    def get_help_text(self) -> str:
        return _("A password is no repetition and no run.")


def _shortest_piece(text: str) -> int:
    """Return the length of the shortest piece that `text` repeats; its own where it does not."""
    return (text + text).find(text, 1) if text else 0


class ContextWordsValidator:
    """Refuses what is little more than a word that everybody connects with this service.

    "password", the words of the service, the lender's names (LENDER_NAMES) and those of the host.
    A sentence may have one in it, as SP 800-63B-4 asks: but without them eight characters must be
    left.
    """

    words = (
        "password",
        "passw0rd",
        "パスワード",
        "暗証番号",
        "会員",
        "ログイン",
        "member",
        "service",
        "portal",
        "login",
        "web-id",
        "webid",
    )
    least_left = 8

    def validate(self, password: str, user: Any = None) -> None:
        """Raise ValidationError, naming the words, where too little is left without them."""
        left, found = password.casefold(), []
        for word in sorted({*self.words, *_names()}, key=len, reverse=True):
            if word in left:
                left = left.replace(word, "")
                found.append(word)
        if found and len(left) < self.least_left:
            raise ValidationError(
                _("Choose a password that is more than “%(words)s”.")
                % {"words": _(", ").join(found)},
                code="password_context",
            )

    def get_help_text(self) -> str:
        return _("A password is more than the name of a service with a few signs.")


def _names() -> Iterator[str]:
    """Yield the names of the lender and of the hosts, as they are compared."""
    yield from (plain(name).casefold() for name in settings.LENDER_NAMES)
    for host in settings.ALLOWED_HOSTS:
        # "co", "jp" and the like stand in any word.
        yield from (label.casefold() for label in host.split(".") if len(label) >= 4)


class OwnDataValidator:
    """Refuses a password with the member's own data, or the Web-ID, in it."""

    def validate(self, password: str, user: User | None = None) -> None:
        """Raise ValidationError, naming the kind of data, where the password contains it."""
        folded = password.casefold()
        for kind, value in _own_data(user):
            if len(value) >= 4 and value.casefold() in folded:
                raise ValidationError(
                    _("Choose a password without your %(kind)s in it.") % {"kind": kind},
                    code="password_own_data",
                )

    def get_help_text(self) -> str:
        return _("Your own data (name, birth date, numbers, address) must not stand in it.")


def _own_data(user: User | None) -> Iterator[tuple[str, str]]:
    if user is None:
        return
    if user.username:
        yield _("staff name"), user.username
    member = user.member
    if member is None:
        return
    yield _("Web-ID"), getattr(user, "chosen_web_id", "")
    yield _("member number"), member.number
    yield _("card number"), member.card.number
    yield _("phone number"), member.phone
    yield _("birth date"), f"{member.birth_date:%Y%m%d}"
    yield _("email address"), member.email.partition("@")[0]
    for part in member.name.split():
        yield _("name"), part
