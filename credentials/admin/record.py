"""The record, for auditors."""

from __future__ import annotations

from django.contrib import admin
from django.utils.translation import gettext_lazy as _

from credentials.admin.desk import ReadOnly
from credentials.models import Event


@admin.register(Event)
class EventAdmin(ReadOnly):
    """The record, for auditors: to read, never to change."""

    list_display = ("at", "act", "by", "whom", "source")
    list_filter = ("act",)
    search_fields = ("=whom", "=by")
    search_help_text = _("A member number, or staff:name.")
    show_full_result_count = False
    ordering = ("-pk",)
