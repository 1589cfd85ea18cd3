"""The pages about one member: how they are reached, what they show of the member, who may.

Each is one act: a form, whose content goes to the act, which may refuse. What stands on a page
about the member is masked until this operator has verified their identity; every look is on
record, masked or not.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import Any

from django.contrib import admin, messages
from django.core.exceptions import PermissionDenied
from django.forms import BaseForm, Form
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.urls import URLPattern, path, reverse_lazy
from django.utils.formats import date_format
from django.utils.functional import Promise
from django.views.generic import FormView

from credentials import verification
from credentials.admin.desk import clock_time, record_seen, staff_of
from credentials.models import IdentityCheck
from credentials.refusals import Refusal
from credentials.throttling import client_address
from members.masking import masked_name, masked_number, masked_text
from members.models import Member, User


def guarded(site: admin.AdminSite, view: Callable[..., Any]) -> Callable[..., Any]:
    """Return a page as the admin lets staff at it."""
    page: Callable[..., Any] = site.admin_view(view)
    # Where LoginRequiredMiddleware sends whose session has ended.
    page.login_url = reverse_lazy("admin:login")  # type: ignore[attr-defined]
    return page


def require(request: HttpRequest, permission: str, member: Member | None = None) -> User:
    """Return who asks; raises PermissionDenied, which the staff's site puts on record."""
    staff = staff_of(request)
    if not staff.has_perm(permission):
        refused = PermissionDenied(permission)
        refused.wanted, refused.whom = permission, member.number if member else ""  # type: ignore[attr-defined]
        raise refused
    return staff


def member_or_404(request: HttpRequest, pk: int | str) -> Member:
    """Return the member with all that pages show; raises PermissionDenied or Http404."""
    require(request, "members.view_member")
    members = Member.objects.select_related("card", "user", "web_id")
    member = members.filter(pk=pk).first() if str(pk).isdecimal() else None
    if member is None:
        raise Http404
    return member


def open_until(check: IdentityCheck) -> datetime:
    """Return when the verification ends."""
    return check.at + verification.OPEN_FOR


def shown_of(member: Member, *, opened: bool) -> dict[str, str]:
    """Return what a page shows of a member: all of it, or what tells two apart.

    The member number stays masked either way: it is told by the act of telling alone, which asks
    for a reason and goes on record (domain.md, rule 6).
    """
    web_id = getattr(member, "web_id", None)
    if opened:
        return {
            "number": masked_number(member.number),
            "name": member.name,
            "name_kana": member.name_kana,
            "birth_date": date_format(member.birth_date),
            "email": member.email,
            "phone": member.phone,
            "card": f"•••• •••• •••• {member.card.last_four}",
            "web_id": web_id.name if web_id else "",
            "balance": "" if member.balance is None else f"{member.balance:,}",
        }
    return {
        "number": masked_number(member.number),
        "name": masked_name(member.name),
        "name_kana": masked_name(member.name_kana),
        "birth_date": masked_text(str(member.birth_date)),
        "email": masked_text(member.email),
        "phone": masked_text(member.phone),
        "card": "•••• •••• •••• ••••",
        "web_id": masked_text(web_id.name) if web_id else "",
        "balance": masked_text("" if member.balance is None else str(member.balance)),
    }


class DeskPage(FormView):
    """A page for one act on one member.

    A subclass says which permission it takes and gives `act`, which answers a refusal, nothing
    (then the member's page follows, with `done` said there), or an answer of its own.
    """

    http_method_names = ["get", "head", "post", "options"]
    site: Any = None
    permission = ""
    address = ""
    url_name = ""
    title: str | Promise = ""
    # What the act rests on: without it the page says what to do first, in place of the form.
    needs_verification = False
    # The page itself shows what is masked elsewhere.
    shows_answers = False
    done: str | Promise = ""
    form_class: type[BaseForm] = Form

    @classmethod
    def url(cls, site: admin.AdminSite) -> URLPattern:
        """Return where the page is, below the members."""
        page = guarded(site, cls.as_view(site=site))
        return path(f"<int:pk>/{cls.address}/", page, name=cls.url_name)

    def dispatch(self, request: HttpRequest, *args: Any, **kwargs: Any) -> Any:
        self.member = member_or_404(request, kwargs["pk"])
        self.staff = require(request, self.permission_for(self.member), self.member)
        self.check = verification.opened(self.member, self.staff)
        return super().dispatch(request, *args, **kwargs)

    def permission_for(self, member: Member) -> str:
        """Return the permission that the act takes on this member."""
        return self.permission

    def render_to_response(self, context: dict[str, Any], **options: Any) -> HttpResponse:
        opened = bool(context["open_until"]) or self.shows_answers
        record_seen(self.request, self.member, masked=not opened, page=self.address)
        return super().render_to_response(context, **options)

    def form_valid(self, form: Any) -> HttpResponse:
        answer = self.act(form, client_address(self.request))
        if isinstance(answer, Refusal):
            form.add_error(None, answer.reason)
            refused = self.form_invalid(form)
            if answer.retry_after:
                refused.status_code = 429
                refused["Retry-After"] = str(answer.retry_after)
            return refused
        if answer is None:
            messages.success(self.request, str(self.done))
            return redirect("admin:members_member_change", self.member.pk)
        return answer

    def act(self, form: Any, source: str) -> Refusal | HttpResponse | None:
        """Do what the page is for."""
        raise NotImplementedError

    def once(self, template: str, **context: Any) -> HttpResponse:
        """Return a page that shows something this once."""
        self.template_name = template
        return self.render_to_response(self.get_context_data(form=None, **context))

    def get_context_data(self, **context: Any) -> dict[str, Any]:
        # Again: the act may have opened the member, or the time run out.
        check = verification.opened(self.member, self.staff)
        return super().get_context_data(
            **{
                **self.site.each_context(self.request),
                "opts": Member._meta,
                "title": self.title,
                "member": self.member,
                "shown": shown_of(self.member, opened=check is not None),
                "open_until": clock_time(open_until(check)) if check else "",
                "must_verify": self.needs_verification and check is None,
                "may_verify": may_verify(self.staff),
                **context,
            }
        )


def may_verify(staff: User) -> dict[str, bool]:
    """Return by which ways somebody may verify."""
    return {
        "on_phone": staff.has_perm("members.verify_on_phone"),
        "in_person": staff.has_perm("members.verify_in_person"),
    }
