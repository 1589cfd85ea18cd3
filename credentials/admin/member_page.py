"""The page of one member: masked until verified, with what the operator's role may do next."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from django.contrib.admin import AdminSite
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.urls import reverse
from django.utils.functional import Promise
from django.utils.translation import gettext_lazy as _

from credentials import closure, pin_reset, suspension, telling, verification
from credentials.admin.desk import clock_time, local_time, record_seen, staff_of
from credentials.admin.pages import may_verify, member_or_404, open_until, shown_of
from credentials.admin.suspensions import words_of_state
from credentials.models import Closure, IdentityCheck
from members.models import Member, User


@dataclass(frozen=True)
class NextStep:
    """Something the operator may do: a button, or why it must wait."""

    label: str | Promise
    url: str
    # Why it cannot be done yet; empty where it can.
    not_yet: str | Promise = ""
    main: bool = False


VERIFY_FIRST = _("after verification")
VERIFY_IN_PERSON_FIRST = _("after verification in person")


def next_steps(member: Member, staff: User, check: IdentityCheck | None) -> list[NextStep]:
    """Return what this operator's role may do with this member, in the order of a call."""
    user = member.user
    under_way = closure.open_closure(member)
    steps = []

    def offer(
        permission: str, name: str, label: Any, *, rests_on_verification: bool = True
    ) -> None:
        if not staff.has_perm(permission):
            return
        not_yet: Any = VERIFY_FIRST if rests_on_verification and check is None else ""
        in_person = check and check.channel == verification.Channel.IN_PERSON
        if permission == "members.reinstate_member_in_person" and not in_person:
            not_yet = VERIFY_IN_PERSON_FIRST
        url = reverse(f"admin:{name}", args=[member.pk])
        main = name.startswith("member_verify") and check is None
        steps.append(NextStep(label, url, not_yet, main))

    on_phone, in_person = "members.verify_on_phone", "members.verify_in_person"
    offer(on_phone, "member_verify", _("Verify on the phone"), rests_on_verification=False)
    offer(in_person, "member_verify_in_person", _("Verify in person"), rests_on_verification=False)
    offer(telling.PERMISSION, "member_tell", _("Tell the member number"))
    if not user.is_active:
        return steps
    if suspension.is_in_force(user):
        offer(suspension.permission_to_lift(user), "member_reinstate", _("Lift the suspension"))
    if not (suspension.is_in_force(user) and suspension.ends_only_in_person(user)):
        offer(
            suspension.SUSPEND,
            "member_suspend",
            _("Stop account and card"),
            rests_on_verification=False,
        )
    offer(
        pin_reset.PERMISSION,
        "member_pin_reset",
        _("Start a PIN re-set"),
        rests_on_verification=False,
    )
    offer(pin_reset.PREPARE, "member_prepare_pin_reset", _("Prepare a PIN re-set"))
    if under_way:
        offer(closure.PERMISSION, "member_withdraw_closure", _("Withdraw the closure"))
    else:
        offer(closure.PERMISSION, "member_close", _("Take down a closure"))
    return steps


def show(site: AdminSite, request: HttpRequest, pk: str) -> HttpResponse:
    """Return the page; the look is on record, and whether it was masked."""
    member, staff = member_or_404(request, pk), staff_of(request)
    check = verification.opened(member, staff)
    record_seen(request, member, masked=check is None)
    under_way: Closure | None = closure.open_closure(member)
    user = member.user
    context = {
        **site.each_context(request),
        "opts": Member._meta,
        "title": _("Member"),
        "member": member,
        "shown": shown_of(member, opened=check is not None),
        "check": check,
        "open_until": clock_time(open_until(check)) if check else "",
        "may_verify": may_verify(staff),
        "phone_way_closed": verification.phone_way_is_closed(member),
        "state": words_of_state(member),
        "suspended": user.is_active and suspension.is_in_force(user),
        "disowned": suspension.is_disowned(user),
        "ends_only_in_person": suspension.ends_only_in_person(user),
        "last_sign_in": local_time(user.sign_in_at) if user.sign_in_at else "",
        "last_way": user.get_sign_in_way_display(),
        "closure": under_way,
        "may_see_closure": staff.has_perm("credentials.view_closure"),
        "next_steps": next_steps(member, staff, check),
    }
    return render(request, "admin/members/member/page.html", context)
