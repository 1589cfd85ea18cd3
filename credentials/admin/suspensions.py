"""The work list of suspensions, suspending at the member's word, and lifting a suspension."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from django.contrib.admin import AdminSite
from django.core.paginator import Page, Paginator
from django.db.models import OuterRef, Q, Subquery
from django.db.models.functions import Now
from django.http import HttpRequest, HttpResponse
from django.urls import URLPattern, path
from django.utils.translation import gettext as say
from django.utils.translation import gettext_lazy as _
from django.views.generic import TemplateView

from credentials import audit, suspension
from credentials.admin.desk import local_time
from credentials.admin.pages import DeskPage, guarded, require
from credentials.forms.suspension import ReinstateForm, SuspendForm
from credentials.models import Event
from credentials.refusals import Refusal
from credentials.throttling import client_address
from members.masking import masked_name, masked_number
from members.models import Member, User, Way

ROWS = 50
# Of all suspended, who may be helped on the phone and who only in person.
WHICH = ("all", "in_person", "by_time")


@dataclass(frozen=True)
class Row:
    """One suspended member, as the work list shows them."""

    pk: int
    number: str
    name: str
    since: str
    why: str
    source: str
    until: str
    in_person: bool
    in_a_row: int
    may_lift: bool


def suspended_now() -> Any:
    """Return the members' users that are suspended now, the latest first, by the partial index."""
    in_force = Q(suspended_until__isnull=True) | Q(suspended_until__gt=Now())
    suspended = User.objects.filter(
        in_force, suspended_at__isnull=False, member__isnull=False, is_active=True
    )
    return suspended.order_by("-suspended_at", "-pk")


def rows_of(page: Page[User], staff: User) -> list[Row]:
    """Return a page of the work list, with why, by the record: the last failure, or the member."""
    failed = Event.objects.filter(
        whom=OuterRef("number"), act__in=[Event.Act.SIGN_IN_FAILED, Event.Act.CARD_REFUSED]
    ).order_by("-at", "-pk")
    members = Member.objects.filter(pk__in=[user.member_id for user in page]).annotate(
        failed_from=Subquery(failed.values("source")[:1]),
        failed_way=Subquery(failed.values("details__way")[:1]),
        disowned=suspension.disowned(number="number", since="user__suspended_at"),
        at_word=suspension.at_word(number="number", since="user__suspended_at"),
    )
    of = {member.pk: member for member in members}
    return [_row(user, of[user.member_id], staff) for user in page]  # type: ignore[index]


def _row(user: User, member: Any, staff: User) -> Row:
    way = str(member.failed_way or "")
    label = str(Way(way).label) if way in Way.values else ""
    in_person = suspension.ends_only_in_person(user)
    disowned, at_word = in_person and member.disowned, in_person and member.at_word
    if disowned:
        why = str(_("the member: “this wasn't me”"))
    else:
        why = str(_("at the member's word")) if at_word else label
    return Row(
        pk=member.pk,
        number=masked_number(member.number),
        name=masked_name(member.name),
        since=local_time(user.suspended_at) if user.suspended_at else "",
        why=why,
        source="" if disowned or at_word else member.failed_from or "",
        until=local_time(user.suspended_until) if user.suspended_until else "",
        in_person=in_person,
        in_a_row=user.suspensions,
        may_lift=staff.has_perm(suspension.permission_to_lift(user)),
    )


class Suspended(TemplateView):
    """Who is suspended now: since when, why, from where, until when."""

    http_method_names = ["get", "head", "options"]
    site: Any = None
    permission = "members.reinstate_member"
    template_name = "admin/members/suspended.html"

    @classmethod
    def url(cls, site: AdminSite) -> URLPattern:
        """Return where the page is, below the members."""
        return path("suspended/", guarded(site, cls.as_view(site=site)), name="members_suspended")

    def get(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        self.staff = require(request, self.permission)
        audit.record(
            Event.Act.MEMBERS_SEARCHED,
            by=audit.staff(self.staff),
            source=client_address(request),
            list="suspended",
        )
        return super().get(request, *args, **kwargs)

    def get_context_data(self, **context: Any) -> dict[str, Any]:
        which = self.request.GET.get("which", "")
        suspended = suspended_now()
        if which in ("in_person", "by_time"):
            suspended = suspended.filter(suspended_until__isnull=which == "in_person")
        page = Paginator(suspended, ROWS).get_page(self.request.GET.get("page"))
        return super().get_context_data(
            **self.site.each_context(self.request),
            opts=Member._meta,
            title=_("Suspended now"),
            page=page,
            rows=rows_of(page, self.staff),
            which=which if which in WHICH else "all",
            **context,
        )


class Suspend(DeskPage):
    """Ask what happened, and who calls where nobody is verified; then stop account and card."""

    permission = suspension.SUSPEND
    address = "suspend"
    url_name = "member_suspend"
    title = _("Stop account and card")
    template_name = "admin/members/member/suspend.html"
    form_class = SuspendForm
    done = _("Account and card are stopped, until it is lifted in person.")

    def get_form_kwargs(self) -> dict[str, Any]:
        return {**super().get_form_kwargs(), "verified": self.check is not None}

    def act(self, form: SuspendForm, source: str) -> Refusal | HttpResponse | None:
        return suspension.suspend(
            self.member.user,
            by=self.staff,
            reason=form.cleaned_data["reason"],
            said=form.cleaned_data.get("said", ""),
            source=source,
        )


class Reinstate(DeskPage):
    """Ask for the reason, then lift the suspension."""

    address = "reinstate"
    url_name = "member_reinstate"
    title = _("Lift the suspension")
    template_name = "admin/members/member/reinstate.html"
    form_class = ReinstateForm
    needs_verification = True
    done = _("The suspension is lifted.")

    def permission_for(self, member: Member) -> str:
        return suspension.permission_to_lift(member.user)

    def act(self, form: ReinstateForm, source: str) -> Refusal | HttpResponse | None:
        return suspension.reinstate(
            self.member.user, by=self.staff, reason=form.cleaned_data["reason"], source=source
        )

    def get_context_data(self, **context: Any) -> dict[str, Any]:
        in_person = suspension.ends_only_in_person(self.member.user)
        page = super().get_context_data(
            in_person_only=in_person,
            disowned=suspension.is_disowned(self.member.user),
            **context,
        )
        check = self.check
        if in_person and not (check and check.channel == suspension.verification.Channel.IN_PERSON):
            page["must_verify"] = True
            page["may_verify"] = {**page["may_verify"], "on_phone": False}
        return page


def words_of_state(member: Member) -> str:
    """Return in words whether the member is active, suspended (until when) or closed."""
    user = member.user
    if not user.is_active:
        return say("closed")
    if not suspension.is_in_force(user):
        return say("active")
    if user.suspended_until is None:
        return say("suspended until lifted in person")
    return say("suspended until %(until)s") % {"until": local_time(user.suspended_until)}


PAGES: tuple[type[DeskPage], ...] = (Suspend, Reinstate)
