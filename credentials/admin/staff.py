"""Members of staff: their roles, their passwords, and what administrators do for a colleague.

Every change takes a reason, ends the colleague's open sessions and is on record
(credentials.staff_accounts).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from django.contrib import admin, messages
from django.contrib.auth.admin import UserAdmin
from django.core.exceptions import PermissionDenied
from django.db import transaction
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import URLPattern, path
from django.utils.translation import gettext_lazy as _

from credentials import staff_accounts, suspension
from credentials.admin.desk import local_time, staff_of
from credentials.forms.staff import AddStaffForm, ChangeStaffForm, ReasonForm, SetPasswordForm
from credentials.refusals import Refusal
from credentials.throttling import client_address
from members.models import User


@admin.register(User)
class StaffAdmin(UserAdmin):
    """Members of staff. Members' users are not here: only acts change them."""

    list_display = ("username", "is_active", "is_superuser", "enrolled", "state")
    list_filter = ("is_active", "groups")
    search_fields = ("username",)
    ordering = ("username",)
    fieldsets = (
        (None, {"fields": ("username", "password")}),
        (_("Role"), {"fields": ("is_active", "groups")}),
        (_("Sign-in"), {"fields": ("enrolled", "state", "last_sign_in", "password_is_temporary")}),
        (_("Why"), {"fields": ("reason",)}),
    )
    readonly_fields = ("enrolled", "state", "last_sign_in", "password_is_temporary")
    form = ChangeStaffForm
    add_form = AddStaffForm
    change_password_form = SetPasswordForm
    change_user_password_template = "admin/members/user/password.html"  # noqa: S105 a page
    filter_horizontal = ("groups",)
    change_form_template = "admin/members/user/page.html"
    add_fieldsets = (
        (
            None,
            {
                "classes": ("wide",),
                "fields": ("username", "usable_password", "password1", "password2", "reason"),
            },
        ),
    )

    def get_queryset(self, request: HttpRequest) -> QuerySet[User]:
        staff = super().get_queryset(request).filter(is_staff=True)
        staff = staff.select_related("second_factor")
        # Who may change staff could otherwise take a superuser's password, and all permissions.
        return staff if staff_of(request).is_superuser else staff.filter(is_superuser=False)

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> Any:
        fields = (*super().get_readonly_fields(request, obj),)
        if obj is not None:
            # The record names staff by it: the same name must stay the same person.
            fields = (*fields, "username")
        if obj == request.user:
            # Nobody gives a role to themselves, or takes themselves out.
            fields = (*fields, "is_active", "groups")
        return fields

    @admin.display(description=_("second factor"))
    def enrolled(self, staff: Any) -> str:
        factor = getattr(staff, "second_factor", None)
        if factor is None:
            return str(_("none: enrolled at the next sign-in"))
        return str(_("since %(when)s") % {"when": local_time(factor.enrolled_at)})

    @admin.display(description=_("state"))
    def state(self, staff: User) -> str:
        if not staff.is_active:
            return str(_("closed"))
        if not suspension.is_in_force(staff):
            return str(_("active"))
        if staff.suspended_until is None:
            return str(_("suspended until an administrator lifts it"))
        return str(_("suspended until %(until)s") % {"until": local_time(staff.suspended_until)})

    @admin.display(description=_("last sign-in"))
    def last_sign_in(self, staff: User) -> str:
        return local_time(staff.sign_in_at) if staff.sign_in_at else str(_("never"))

    # --- What the admin's own forms save ---

    def save_model(self, request: HttpRequest, obj: User, form: Any, change: bool) -> None:
        obj.is_staff = True
        super().save_model(request, obj, form, change)

    def save_related(self, request: HttpRequest, form: Any, formsets: Any, change: bool) -> None:
        super().save_related(request, form, formsets, change)
        staff = form.instance
        fields = [name for name in form.changed_data if name != "reason"] if change else ["added"]
        if fields:
            staff_accounts.changed(
                staff,
                by=staff_of(request),
                source=client_address(request),
                fields=fields,
                reason=form.cleaned_data["reason"],
                active=staff.is_active,
                roles=sorted(staff.groups.values_list("name", flat=True)),
            )

    def user_change_password(self, request: HttpRequest, id: str, form_url: str = "") -> Any:
        if id == str(staff_of(request).pk):
            # One's own takes the old one, too.
            return redirect("admin:password_change")
        staff = self.get_object(request, id)
        with transaction.atomic():
            answer = super().user_change_password(request, id, form_url)
            if staff and staff.password != User.objects.get(pk=staff.pk).password:
                staff_accounts.changed(
                    staff,
                    by=staff_of(request),
                    source=client_address(request),
                    fields=["password"],
                    reason=request.POST["reason"],
                )
        return answer

    # --- What an administrator does for a colleague ---

    def get_urls(self) -> list[URLPattern]:
        own = self.admin_site.admin_view
        return [
            path("<int:pk>/reinstate/", own(self.reinstate), name="staff_reinstate"),
            path(
                "<int:pk>/second-factor/",
                own(self.reset_second_factor),
                name="staff_second_factor",
            ),
            *super().get_urls(),
        ]

    def changeform_view(
        self,
        request: HttpRequest,
        object_id: str | None = None,
        form_url: str = "",
        extra_context: dict[str, Any] | None = None,
    ) -> Any:
        staff = self.get_object(request, object_id) if object_id else None
        may = staff is not None and self.has_change_permission(request, staff)
        if staff is not None and may and staff != request.user:
            extra_context = {
                **(extra_context or {}),
                "can_reinstate": staff.is_active and suspension.is_in_force(staff),
                "can_reset_second_factor": hasattr(staff, "second_factor"),
            }
        return super().changeform_view(request, object_id, form_url, extra_context)

    def reinstate(self, request: HttpRequest, pk: int) -> HttpResponse:
        """Ask for the reason, then lift a colleague's suspension."""
        return self._act(
            request,
            pk,
            suspension.reinstate,
            title=_("Lift the suspension"),
            explanation=_("The colleague can sign in again at once. The reason is kept on record."),
            done=_("The suspension is lifted."),
        )

    def reset_second_factor(self, request: HttpRequest, pk: int) -> HttpResponse:
        """Ask for the reason, then take a colleague's second factor away."""
        return self._act(
            request,
            pk,
            staff_accounts.reset_second_factor,
            title=_("Re-set the second factor"),
            explanation=_(
                "The app and the recovery codes stop working, and open sessions end. At the next "
                "sign-in, password alone leads to a new enrolment: make sure in person or by "
                "calling back who asks. The reason is kept on record."
            ),
            done=_("The second factor is re-set."),
        )

    def _act(
        self,
        request: HttpRequest,
        pk: int,
        act: Callable[..., Refusal | None],
        *,
        title: Any,
        explanation: Any,
        done: Any,
    ) -> HttpResponse:
        staff = self.get_queryset(request).filter(pk=pk).first()
        if staff is None or not self.has_change_permission(request, staff):
            raise PermissionDenied
        form = ReasonForm(request.POST or None)
        if form.is_valid():
            refusal = act(
                staff,
                by=staff_of(request),
                reason=form.cleaned_data["reason"],
                source=client_address(request),
            )
            if refusal is None:
                messages.success(request, done)
                return redirect("admin:members_user_change", pk)
            form.add_error(None, refusal.reason)
        context = {
            **self.admin_site.each_context(request),
            "opts": self.opts,
            "staff": staff,
            "form": form,
            "title": title,
            "explanation": explanation,
        }
        return render(request, "admin/members/user/act.html", context)
