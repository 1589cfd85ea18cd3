"""What a password may be, beyond what Django's validators say.

Length matters, composition does not (SP 800-63B-4 §3.1.1.2): 12 to 128 characters, common ones
and ones with the member's own data refused, with the reason.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Iterator
from typing import Any

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
