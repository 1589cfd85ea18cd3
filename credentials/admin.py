"""The staff's side in the Django admin: find a member, lift a suspension, start a PIN re-set.

Everything about a member is read-only here; what changes, changes through the acts. Every look at
a member's page and every refused attempt is on record.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any

from django.contrib import admin, messages
from django.contrib.auth.admin import UserAdmin
from django.core.exceptions import PermissionDenied
from django.db.models import BooleanField, ExpressionWrapper, Q, QuerySet
from django.db.models.functions import Now
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import URLPattern, path
from django.utils.formats import date_format
from django.utils.timezone import localtime
from django.utils.translation import gettext_lazy as _

from credentials import audit, pin_reset, suspension
from credentials.forms.pin_reset import StartPinResetForm
from credentials.forms.suspension import ReinstateForm
from credentials.models import Event, OutboxMail
from credentials.refusals import Refusal
from credentials.throttling import client_address
from members.models import Member, User
from members.numbers import grouped
from members.search import find_members


class ReadOnly(admin.ModelAdmin):
    """Nobody adds, changes or deletes here."""

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False


@admin.register(Member)
class MemberAdmin(ReadOnly):
    """Members, found by number, card, kana or birth date."""

    list_display = ("number_grouped", "name", "name_kana", "birth_date", "state")
    list_display_links = ("number_grouped", "name")
    search_fields = ("number",)
    search_help_text = _(
        "Member number, card number, name in kana, or birth date (1983-12-31); "
        "kana and birth date together find one person."
    )
    show_full_result_count = False
    list_per_page = 50
    ordering = ("pk",)
    change_form_template = "admin/members/member/page.html"
    fields = (
        "number_grouped",
        "name",
        "name_kana",
        "birth_date",
        "email",
        "phone",
        "card_shown",
        "web_id_shown",
        "state",
        "last_sign_in",
    )
    readonly_fields = fields

    def get_queryset(self, request: HttpRequest) -> QuerySet[Member]:
        members = super().get_queryset(request).select_related("card", "user", "web_id")
        in_force = Q(user__suspended_at__isnull=False) & (
            Q(user__suspended_until__isnull=True) | Q(user__suspended_until__gt=Now())
        )
        return members.annotate(suspended=ExpressionWrapper(in_force, BooleanField()))

    def get_search_results(
        self, request: HttpRequest, queryset: QuerySet[Any], search_term: str
    ) -> tuple[QuerySet[Any], bool]:
        if not search_term.strip():
            return queryset, False
        audit.record(
            Event.Act.MEMBERS_SEARCHED,
            by=audit.staff(_staff(request)),
            source=client_address(request),
        )
        return find_members(queryset, search_term), False

    @admin.display(description=_("member number"), ordering="number")
    def number_grouped(self, member: Member) -> str:
        return member.number_grouped

    @admin.display(description=_("card"))
    def card_shown(self, member: Member) -> str:
        pin = _("has a PIN") if member.card.has_pin else _("no PIN until one is set in person")
        return f"•••• •••• •••• {member.card.last_four} ({pin})"

    @admin.display(description=_("Web-ID"))
    def web_id_shown(self, member: Member) -> str:
        web_id = getattr(member, "web_id", None)
        return web_id.name if web_id else str(_("none"))

    @admin.display(description=_("state"))
    def state(self, member: Any) -> str:
        user = member.user
        if not user.is_active:
            return str(_("closed"))
        if not member.suspended:
            return str(_("active"))
        if suspension.ends_only_in_person(user):
            return str(_("suspended until lifted in person"))
        return str(_("suspended until %(until)s") % {"until": _local(user.suspended_until)})

    @admin.display(description=_("last sign-in"))
    def last_sign_in(self, member: Member) -> str:
        user = member.user
        if not user.sign_in_at:
            return str(_("never"))
        return f"{_local(user.sign_in_at)} ({user.get_sign_in_way_display()})"

    def get_urls(self) -> list[URLPattern]:
        own = self.admin_site.admin_view
        return [
            path("<int:pk>/reinstate/", own(self.reinstate), name="member_reinstate"),
            path("<int:pk>/pin-reset/", own(self.start_pin_reset), name="member_pin_reset"),
            *super().get_urls(),
        ]

    def changeform_view(
        self,
        request: HttpRequest,
        object_id: str | None = None,
        form_url: str = "",
        extra_context: dict[str, Any] | None = None,
    ) -> Any:
        member = self.get_object(request, object_id) if object_id else None
        if member and self.has_view_permission(request, member):
            _seen(request, member)
            user = member.user
            may_lift = request.user.has_perm(suspension.permission_to_lift(user))
            extra_context = {
                **(extra_context or {}),
                "can_reinstate": user.is_active and member.suspended and may_lift,
                "can_start_pin_reset": user.is_active
                and request.user.has_perm(pin_reset.PERMISSION),
            }
        return super().changeform_view(request, object_id, form_url, extra_context)

    def reinstate(self, request: HttpRequest, pk: int) -> HttpResponse:
        """Ask for the reason, then lift the suspension."""
        member = self._member_for(request, pk)
        self._require(request, suspension.permission_to_lift(member.user), member)
        form = ReinstateForm(request.POST or None)
        if form.is_valid():
            refusal = suspension.reinstate(
                member.user,
                by=_staff(request),
                reason=form.cleaned_data["reason"],
                source=client_address(request),
            )
            if refusal is None:
                messages.success(request, _("The suspension is lifted."))
                return redirect("admin:members_member_change", pk)
            form.add_error(None, refusal.reason)
        title = _("Lift the suspension")
        return self._act_page(request, member, form, title, "admin/members/member/reinstate.html")

    def start_pin_reset(self, request: HttpRequest, pk: int) -> HttpResponse:
        """Ask how identity was verified, then stop the old PIN and show the ticket once."""
        member = self._member_for(request, pk)
        self._require(request, pin_reset.PERMISSION, member)
        form = StartPinResetForm(request.POST or None)
        title = _("Start a PIN re-set")
        if form.is_valid():
            ticket = pin_reset.start(
                member=member,
                by=_staff(request),
                document=form.cleaned_data["document"],
                place=form.cleaned_data["place"],
                source=client_address(request),
            )
            if isinstance(ticket, Refusal):
                form.add_error(None, ticket.reason)
            else:
                shown = {"ticket": grouped(ticket, 4)}
                template = "admin/members/member/ticket.html"
                return self._act_page(request, member, form, title, template, **shown)
        template = "admin/members/member/pin_reset.html"
        return self._act_page(request, member, form, title, template)

    def _member_for(self, request: HttpRequest, pk: int) -> Member:
        member = self.get_queryset(request).filter(pk=pk).first()
        if member is None or not self.has_view_permission(request, member):
            raise PermissionDenied
        return member

    def _require(self, request: HttpRequest, permission: str, member: Member) -> None:
        if not request.user.has_perm(permission):
            _refused(request, permission, member)
            raise PermissionDenied

    def _act_page(
        self,
        request: HttpRequest,
        member: Member,
        form: Any,
        title: Any,
        template: str,
        **context: Any,
    ) -> HttpResponse:
        context |= {
            **self.admin_site.each_context(request),
            "opts": self.opts,
            "member": member,
            "form": form,
            "title": title,
        }
        return render(request, template, context)


def _staff(request: HttpRequest) -> User:
    assert isinstance(request.user, User)  # noqa: S101 the admin let nobody else in
    return request.user


def _local(moment: datetime) -> str:
    return date_format(localtime(moment), "SHORT_DATETIME_FORMAT")


def _seen(request: HttpRequest, member: Member) -> None:
    audit.record(
        Event.Act.MEMBER_SEEN,
        by=audit.staff(_staff(request)),
        whom=member.number,
        source=client_address(request),
    )


def _refused(request: HttpRequest, permission: str, member: Member) -> None:
    audit.record(
        Event.Act.ACCESS_REFUSED,
        by=audit.staff(_staff(request)),
        whom=member.number,
        source=client_address(request),
        wanted=permission,
    )


@admin.register(Event)
class EventAdmin(ReadOnly):
    """The record, for auditors: to read, never to change."""

    list_display = ("at", "act", "by", "whom", "source")
    list_filter = ("act",)
    search_fields = ("=whom", "=by")
    search_help_text = _("A member number, or staff:name.")
    show_full_result_count = False
    ordering = ("-pk",)


@admin.register(OutboxMail)
class OutboxMailAdmin(ReadOnly):
    """What waits to go out, and what did not arrive. Texts are not kept."""

    list_display = ("queued_at", "kind", "member", "tries", "outcome", "closed_at", "last_error")
    list_filter = ("outcome", "kind")
    fields = list_display
    list_select_related = ("member",)
    show_full_result_count = False
    ordering = ("-pk",)


@admin.register(User)
class StaffAdmin(UserAdmin):
    """Members of staff. Members' users are not here: only acts change them."""

    list_display = ("username", "is_active", "is_superuser")
    list_filter = ("is_active", "groups")
    search_fields = ("username",)
    ordering = ("username",)
    fieldsets = (
        (None, {"fields": ("username", "password")}),
        (_("Role"), {"fields": ("is_active", "groups")}),
    )
    filter_horizontal = ("groups",)
    add_fieldsets = (
        (
            None,
            {
                "classes": ("wide",),
                "fields": ("username", "usable_password", "password1", "password2"),
            },
        ),
    )

    def get_queryset(self, request: HttpRequest) -> QuerySet[User]:
        staff = super().get_queryset(request).filter(is_staff=True)
        # Who may change staff could otherwise take a superuser's password, and all permissions.
        return staff if _staff(request).is_superuser else staff.filter(is_superuser=False)

    def save_model(self, request: HttpRequest, obj: User, form: Any, change: bool) -> None:
        obj.is_staff = True
        super().save_model(request, obj, form, change)
