"""The overview: pictures for supervisors, at /admin/overview/."""

from __future__ import annotations

from django.conf import settings
from django.contrib.admin import AdminSite
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils.translation import gettext_lazy as _

from credentials import charts, overview
from credentials.admin.pages import require

PERMISSION = "members.view_overview"


def show(site: AdminSite, request: HttpRequest) -> HttpResponse:
    """Return the page; raises PermissionDenied where the role may not."""
    require(request, PERMISSION)
    outbox, alarm = overview.outbox_age(), overview.alarm_state()
    context = {
        **site.each_context(request),
        "title": _("Overview"),
        "alarm": alarm,
        "alarm_minutes": -(-alarm.seconds // 60),
        "alarm_limit": settings.GLOBAL_FAILURE_ALARM,
        "outbox": outbox,
        "outbox_minutes": int(outbox.oldest.total_seconds() // 60),
        "spans": [
            (_("The last 48 hours"), [charts.draw(figure) for figure in overview.by_hour()]),
            (_("The last 60 days"), [charts.draw(figure) for figure in overview.by_day()]),
        ],
    }
    return render(request, "admin/overview.html", context)
