"""The desk: find a member, verify who calls, and what follows.

Everything about a member is read-only here; what changes, changes through the acts. Every look at
a member's page and every refused attempt is on record.
"""

from __future__ import annotations

from typing import Any

from django.contrib import admin
from django.core.exceptions import PermissionDenied
from django.db.models import BooleanField, ExpressionWrapper, Q, QuerySet
from django.db.models.functions import Now
from django.http import HttpRequest, HttpResponse
from django.urls import URLPattern
from django.utils.translation import gettext_lazy as _

from credentials import suspension
from credentials.admin import calls, closures, member_page, suspensions, windows
from credentials.admin.desk import ReadOnly, local_time
from credentials.admin.finding import FindsMembers
from members.models import Member


@admin.register(Member)
class MemberAdmin(FindsMembers, ReadOnly):
    """Members, found by whatever somebody has; nobody else is listed."""

    def get_queryset(self, request: HttpRequest) -> QuerySet[Member]:
        members = super().get_queryset(request).select_related("card", "user", "web_id")
        in_force = Q(user__suspended_at__isnull=False) & (
            Q(user__suspended_until__isnull=True) | Q(user__suspended_until__gt=Now())
        )
        return members.annotate(suspended=ExpressionWrapper(in_force, BooleanField()))

    @admin.display(description=_("state"))
    def state(self, member: Any) -> str:
        user = member.user
        if not user.is_active:
            return str(_("closed"))
        if not member.suspended:
            return str(_("active"))
        if suspension.ends_only_in_person(user):
            return str(_("suspended until lifted in person"))
        return str(_("suspended until %(until)s") % {"until": local_time(user.suspended_until)})

    def get_urls(self) -> list[URLPattern]:
        pages = (*calls.PAGES, *windows.PAGES, *suspensions.PAGES, *closures.PAGES)
        return [
            suspensions.Suspended.url(self.admin_site),
            *(page.url(self.admin_site) for page in pages),
            *super().get_urls(),
        ]

    def change_view(
        self,
        request: HttpRequest,
        object_id: str,
        form_url: str = "",
        extra_context: dict[str, Any] | None = None,
    ) -> HttpResponse:
        """Show the member's page; there is nothing to change on it."""
        if request.method == "POST":
            raise PermissionDenied
        return member_page.show(self.admin_site, request, object_id)
