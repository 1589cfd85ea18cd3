"""The lender's card host: its clients and their keys.

A client is added once and keeps its name, by which the record knows it. Keys are made and
revoked through the acts (api_keys.py), each with a reason; a new key is shown once.
"""

from __future__ import annotations

from typing import Any

from django.contrib import admin, messages
from django.contrib.admin.helpers import ACTION_CHECKBOX_NAME
from django.db.models import BooleanField, Case, QuerySet, Value, When
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, render
from django.urls import URLPattern, path
from django.utils.translation import gettext_lazy as _
from django.utils.translation import ngettext

from credentials import api_keys
from credentials.admin.desk import ReadOnly, staff_of
from credentials.admin.pages import guarded, require
from credentials.forms.card_host import MakeKeyForm, ReasonForm
from credentials.models import ApiClient, ApiKey
from credentials.refusals import Refusal
from credentials.throttling import client_address


class KeysOfClient(admin.TabularInline):
    """The keys, on the page of their client."""

    model = ApiKey
    fields = readonly_fields = (
        "prefix",
        "scope",
        "created_at",
        "created_by",
        "expires_at",
        "revoked_at",
    )
    extra = 0
    can_delete = False

    def has_add_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False


@admin.register(ApiClient)
class ApiClientAdmin(ReadOnly):
    """Systems that may call the API: add one, make a key of it."""

    list_display = ("name", "is_active", "created_at")
    fields = ("name",)
    inlines = (KeysOfClient,)
    change_form_template = "admin/credentials/apiclient/page.html"

    def has_add_permission(self, request: HttpRequest) -> bool:
        return request.user.has_perm("credentials.add_apiclient")

    def get_inlines(self, request: HttpRequest, obj: Any) -> tuple[Any, ...]:
        # A client that is being added has no keys yet.
        return self.inlines if obj else ()

    def get_urls(self) -> list[URLPattern]:
        make_key = guarded(self.admin_site, self.make_key)
        return [path("<int:pk>/key/", make_key, name="apiclient_make_key"), *super().get_urls()]

    def changeform_view(
        self,
        request: HttpRequest,
        object_id: str | None = None,
        form_url: str = "",
        extra_context: dict[str, Any] | None = None,
    ) -> Any:
        may = {"can_make_key": bool(object_id) and request.user.has_perm(api_keys.PERMISSION)}
        return super().changeform_view(
            request, object_id, form_url, {**(extra_context or {}), **may}
        )

    def make_key(self, request: HttpRequest, pk: int) -> HttpResponse:
        """Ask what the key is for, then make it and show it once."""
        staff = require(request, api_keys.PERMISSION)
        client = get_object_or_404(ApiClient, pk=pk)
        form = MakeKeyForm(request.POST or None)
        context = {
            **self.admin_site.each_context(request),
            "opts": self.opts,
            "client": client,
            "form": form,
            "title": _("Make a key"),
        }
        if form.is_valid():
            new = api_keys.make(
                client=client, by=staff, source=client_address(request), **form.cleaned_data
            )
            if not isinstance(new, Refusal):
                context |= {"key": new.key, "text": new.text}
                return render(request, "admin/credentials/apiclient/key.html", context)
            form.add_error(None, new.reason)
        return render(request, "admin/credentials/apiclient/make_key.html", context)


@admin.register(ApiKey)
class ApiKeyAdmin(ReadOnly):
    """All keys, the newest first. What a key is stands nowhere."""

    list_display = (
        "prefix",
        "client",
        "scope",
        "is_valid",
        "created_at",
        "created_by",
        "expires_at",
        "revoked_at",
    )
    list_filter = ("client",)
    list_select_related = ("client",)
    fields = list_display
    readonly_fields = ("is_valid",)
    ordering = ("-pk",)
    actions = ("revoke",)

    def get_queryset(self, request: HttpRequest) -> QuerySet[ApiKey]:
        valid = When(pk__in=api_keys.valid().values("pk"), then=Value(True))
        return (
            super()
            .get_queryset(request)
            .annotate(valid=Case(valid, default=Value(False), output_field=BooleanField()))
        )

    @admin.display(description=_("valid"), boolean=True)
    def is_valid(self, key: Any) -> bool:
        return bool(key.valid)

    def has_revoke_permission(self, request: HttpRequest) -> bool:
        """Whether the action is offered; the act asks once more."""
        return request.user.has_perm(api_keys.PERMISSION)

    @admin.action(description=_("Revoke the selected keys"), permissions=["revoke"])
    def revoke(self, request: HttpRequest, keys: QuerySet[ApiKey]) -> HttpResponse | None:
        """Ask for the reason, then revoke."""
        form = ReasonForm(request.POST if "reason" in request.POST else None)
        if not form.is_valid():
            context = {
                **self.admin_site.each_context(request),
                "opts": self.opts,
                "keys": keys,
                "form": form,
                "title": _("Revoke keys"),
                "checkbox": ACTION_CHECKBOX_NAME,
            }
            return render(request, "admin/credentials/apikey/revoke.html", context)
        revoked = 0
        for key in keys.select_related("client"):
            refusal = api_keys.revoke(
                key,
                reason=form.cleaned_data["reason"],
                by=staff_of(request),
                source=client_address(request),
            )
            if refusal:
                messages.error(request, f"{key}: {refusal.reason}")
            else:
                revoked += 1
        if revoked:
            done = ngettext("%(number)d key revoked.", "%(number)d keys revoked.", revoked)
            messages.success(request, done % {"number": revoked})
        return None
