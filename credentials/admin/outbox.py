"""The outbox: what waits, and what did not arrive."""

from __future__ import annotations

from django.contrib import admin

from credentials.admin.desk import ReadOnly
from credentials.admin.uncounted import Uncounted
from credentials.models import OutboxMail


@admin.register(OutboxMail)
class OutboxMailAdmin(Uncounted, ReadOnly):
    """What waits to go out, and what did not arrive. Texts are not kept."""

    list_display = ("queued_at", "kind", "member", "tries", "outcome", "closed_at", "last_error")
    list_filter = ("outcome", "kind")
    fields = list_display
    list_select_related = ("member",)
    ordering = ("-pk",)
