"""What all of the staff's pages share: who acts, and that nothing is edited by hand."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from django.contrib import admin
from django.http import HttpRequest
from django.utils.formats import date_format
from django.utils.timezone import localtime

from credentials import audit
from credentials.models import Event
from credentials.throttling import client_address
from members.models import Member, User


class ReadOnly(admin.ModelAdmin):
    """Nobody adds, changes or deletes here."""

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False


def staff_of(request: HttpRequest) -> User:
    """Return the member of staff who asks."""
    assert isinstance(request.user, User)  # noqa: S101 the admin let nobody else in
    return request.user


def local_time(moment: datetime) -> str:
    """Return a moment as staff read it."""
    return date_format(localtime(moment), "SHORT_DATETIME_FORMAT")


def clock_time(moment: datetime) -> str:
    """Return the time of day, for what ends within minutes."""
    return localtime(moment).strftime("%H:%M")


def record_seen(request: HttpRequest, member: Member, *, masked: bool, page: str = "") -> None:
    """Put a look at a member's page on record; `page`: which, where it is not the member's own."""
    audit.record(
        Event.Act.MEMBER_SEEN,
        by=audit.staff(staff_of(request)),
        whom=member.number,
        source=client_address(request),
        masked=masked,
        **({"page": page} if page else {}),
    )
