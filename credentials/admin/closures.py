"""Closures: taking the wish down, the work list, the checklist, the second pair of eyes."""

from __future__ import annotations

from typing import Any

from django.conf import settings
from django.contrib import admin, messages
from django.db.models import QuerySet
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils.html import format_html
from django.utils.translation import gettext_lazy as _

from credentials import audit, closure
from credentials.admin.desk import ReadOnly, record_seen, staff_of
from credentials.admin.pages import DeskPage, require, shown_of
from credentials.forms.closure import CheckClosureForm, TakeDownClosureForm
from credentials.models import Closure
from credentials.refusals import Refusal
from credentials.throttling import client_address
from members.masking import masked_name, masked_number


class TakeDownClosure(DeskPage):
    """The member asks on the phone or at the window."""

    permission = closure.PERMISSION
    address = "close"
    url_name = "member_close"
    title = _("Take down a closure")
    template_name = "admin/members/member/close.html"
    form_class = TakeDownClosureForm
    needs_verification = True
    done = _("The closure is taken down. The member gets a mail; it waits on the work list.")

    def act(self, form: TakeDownClosureForm, source: str) -> Refusal | HttpResponse | None:
        return closure.ask_for(
            member=self.member,
            by=self.staff,
            certificate=form.cleaned_data["certificate"],
            source=source,
        )


class WithdrawClosure(DeskPage):
    """The member takes the wish back on the phone or at the window."""

    permission = closure.PERMISSION
    address = "withdraw-closure"
    url_name = "member_withdraw_closure"
    title = _("Withdraw the closure")
    template_name = "admin/members/member/withdraw_closure.html"
    needs_verification = True
    done = _("The closure is withdrawn. The membership goes on.")

    def act(self, form: Any, source: str) -> Refusal | HttpResponse | None:
        return closure.withdraw_for(member=self.member, by=self.staff, source=source)


class Stage(admin.SimpleListFilter):
    """What is to be done first, or what is over."""

    title = _("stage")
    parameter_name = "stage"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, Any]]:
        return [
            ("asked", _("To check")),
            ("checked", _("To close")),
            ("ended", _("Over")),
            ("all", _("Everything")),
        ]

    def choices(self, changelist: Any) -> Any:
        under_way = {
            "selected": self.value() is None,
            "query_string": changelist.get_query_string(remove=[self.parameter_name]),
            "display": _("Under way"),
        }
        yield under_way
        # Without Django's own "All", which is no default here.
        yield from list(super().choices(changelist))[1:]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        match self.value():
            case "asked" | "checked" as state:
                return queryset.filter(state=state)
            case "ended":
                return queryset.filter(ended_at__isnull=False)
            case "all":
                return queryset
            case _:
                return queryset.filter(ended_at__isnull=True)


@admin.register(Closure)
class ClosureAdmin(ReadOnly):
    """The work list of closures."""

    list_display = (
        "member_masked",
        "state",
        "via",
        "asked_at",
        "asked_by",
        "certificate",
        "checked_by",
        "ended_at",
    )
    list_filter = (Stage,)
    list_select_related = ("member",)
    show_full_result_count = False
    list_per_page = 50
    ordering = ("asked_at", "pk")

    @admin.display(description=_("member"))
    def member_masked(self, this: Closure) -> str:
        member = this.member
        return format_html(
            '<span class="desk-whole">{} {}</span>',
            masked_number(member.number),
            masked_name(member.name),
        )

    def change_view(
        self,
        request: HttpRequest,
        object_id: str,
        form_url: str = "",
        extra_context: dict[str, Any] | None = None,
    ) -> HttpResponse:
        """Show one closure; take the checklist, or the second pair of eyes' word."""
        staff = require(request, "credentials.view_closure")
        this = self._closure_or_404(object_id)
        form = CheckClosureForm()
        if request.method == "POST":
            require(request, closure.PERMISSION, this.member)
            answer, form = self._act(request, this)
            if answer:
                return answer
            this.refresh_from_db()
        may_act = staff.has_perm(closure.PERMISSION)
        shown = shown_of(this.member, opened=may_act)
        record_seen(request, this.member, masked=not may_act, page="closure")
        context = {
            **self.admin_site.each_context(request),
            "opts": self.opts,
            "title": _("Closure"),
            "closure": this,
            # Who checks looks the member up in the core system, and needs the number for that.
            "shown": {**shown, "number": this.member.number_grouped} if may_act else shown,
            "may_act": may_act,
            "obstacles": closure.obstacles(this.member) if this.ended_at is None else [],
            "needs_second": settings.CLOSURE_NEEDS_SECOND,
            "checked_by_oneself": this.checked_by == audit.staff(staff),
            "form": form,
        }
        return render(request, "admin/credentials/closure/page.html", context)

    def _act(
        self, request: HttpRequest, this: Closure
    ) -> tuple[HttpResponse | None, CheckClosureForm]:
        """Do what was pressed; an answer where it is done, the form with what is wrong if not."""
        staff, source = staff_of(request), client_address(request)
        form = CheckClosureForm(request.POST)
        if "approve" in request.POST:
            refusal = closure.approve(closure=this, by=staff, source=source)
        elif form.is_valid():
            confirmed = form.cleaned_data
            refusal = closure.check(closure=this, by=staff, source=source, **confirmed)
        else:
            return None, form
        if refusal:
            messages.error(request, refusal.reason)
            return redirect(request.path), form
        this.refresh_from_db()
        if this.state == Closure.State.CLOSED:
            messages.success(request, _("The membership is closed. The member gets a mail."))
        else:
            messages.success(request, _("Checked. Somebody else must close it now."))
        return redirect(request.path), form

    def _closure_or_404(self, object_id: str) -> Closure:
        closures = Closure.objects.select_related("member__card", "member__user", "member__web_id")
        this = closures.filter(pk=object_id).first() if object_id.isdecimal() else None
        if this is None:
            raise Http404
        return this


PAGES: tuple[type[DeskPage], ...] = (TakeDownClosure, WithdrawClosure)
