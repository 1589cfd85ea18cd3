"""The record, for auditors: to read and to export, never to change."""

from __future__ import annotations

from typing import Any

from django.contrib import admin
from django.contrib.admin.views.main import ChangeList
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse, StreamingHttpResponse
from django.shortcuts import render
from django.urls import URLPattern, path
from django.utils.timezone import localdate
from django.utils.translation import gettext_lazy as _
from django.views.decorators.http import require_POST

from credentials.admin.desk import ReadOnly, staff_of
from credentials.admin.pages import require
from credentials.admin.uncounted import Uncounted, UncountedList
from credentials.forms.record import RecordFilterForm
from credentials.models import Event
from credentials.record import export, sealing
from credentials.throttling import client_address


class FilteredEvents(UncountedList):
    """The events that the filter above the list asks for."""

    def get_filters_params(self, params: Any = None) -> dict[str, Any]:
        """Return what the admin is to read as look-ups: nothing, the filter's form has it all."""
        return {}

    def get_queryset(self, request: HttpRequest, exclude_parameters: Any = None) -> QuerySet[Any]:
        """Return the newest first; none where the filter is not filled in rightly."""
        self.form = RecordFilterForm(request.GET or None)
        events = super().get_queryset(request, exclude_parameters)
        if self.form.is_bound and not self.form.is_valid():
            return events.none()
        return events.filter(self.form.asked().condition())


@admin.register(Event)
class EventAdmin(Uncounted, ReadOnly):
    """The record by member, by staff, by act and by time, and its exports."""

    list_display = ("at", "act", "by", "whom", "source")
    change_list_template = "admin/credentials/event/record.html"
    # Each of the indexes on events ends in the time, so this order costs no sorting.
    ordering = ("-at", "-pk")
    sortable_by = ()
    actions = None

    def get_changelist(self, request: HttpRequest, **kwargs: Any) -> type[ChangeList]:
        """Return the list that has the filter."""
        return FilteredEvents

    def changelist_view(self, request: HttpRequest, extra_context: Any = None) -> HttpResponse:
        """Show up to when the record is sealed."""
        context = {**(extra_context or {}), "newest_seal": sealing.newest_seal()}
        return super().changelist_view(request, context)

    def get_urls(self) -> list[URLPattern]:
        """Put the export beside the list."""
        view = self.admin_site.admin_view(require_POST(self.export))
        return [path("export/", view, name="record_export"), *super().get_urls()]

    def export(self, request: HttpRequest) -> HttpResponse | StreamingHttpResponse:
        """Send the events of the filter, or the people whom somebody saw, as CSV."""
        require(request, "credentials.view_event")
        form = RecordFilterForm(request.POST, people="people" in request.POST)
        if not form.is_valid():
            context = {
                **self.admin_site.each_context(request),
                "opts": self.opts,
                "title": _("Export the record"),
                "form": form,
            }
            return render(request, "admin/credentials/event/refused.html", context)
        lines_of = export.export_people if form.people else export.export_events
        lines = lines_of(form.asked(), by=staff_of(request), source=client_address(request))
        what = "people-seen" if form.people else "record"
        return StreamingHttpResponse(
            lines,
            content_type="text/csv; charset=utf-8",
            headers={
                "Content-Disposition": f'attachment; filename="{what}-{localdate():%Y%m%d}.csv"',
                "X-Content-Type-Options": "nosniff",
            },
        )
