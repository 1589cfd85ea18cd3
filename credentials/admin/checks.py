"""The identity checks, for auditors: who verified whom, how, and how it went."""

from __future__ import annotations

from django.contrib import admin
from django.utils.translation import gettext_lazy as _

from credentials.admin.desk import ReadOnly
from credentials.models import IdentityCheck
from members.masking import masked_number


@admin.register(IdentityCheck)
class IdentityCheckAdmin(ReadOnly):
    """To read, never to change. What was answered is named, never quoted."""

    list_display = ("at", "by", "member_masked", "channel", "passed", "document", "place")
    list_filter = ("passed", "channel")
    fields = ("at", "by", "member_masked", "channel", "passed", "answered", "document", "place")
    list_select_related = ("by", "member")
    show_full_result_count = False
    ordering = ("-pk",)

    @admin.display(description=_("member"))
    def member_masked(self, check: IdentityCheck) -> str:
        return masked_number(check.member.number)
