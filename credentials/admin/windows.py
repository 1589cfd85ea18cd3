"""The window's pages: verify in person, re-set a PIN; and preparing a re-set from afar."""

from __future__ import annotations

from typing import Any

from django.http import HttpResponse
from django.utils.translation import gettext_lazy as _

from credentials import pin_reset, verification
from credentials.admin.desk import local_time
from credentials.admin.pages import DeskPage
from credentials.forms.pin_reset import StartPinResetForm
from credentials.forms.verification import InPersonForm
from credentials.models import IdentityCheck
from credentials.refusals import Refusal
from members.numbers import grouped


class _AtTheWindow(DeskPage):
    """Asks for a document and a place; the place is offered as it was stated last."""

    def get_initial(self) -> dict[str, Any]:
        seen = IdentityCheck.objects.filter(by=self.staff).exclude(place="")
        last = seen.order_by("-at", "-pk").values_list("place", flat=True).first()
        return {**super().get_initial(), "place": last or ""}


class VerifyInPerson(_AtTheWindow):
    """Note the identity document that was seen."""

    permission = "members.verify_in_person"
    address = "verify-in-person"
    url_name = "member_verify_in_person"
    title = _("Verify in person")
    template_name = "admin/members/member/verify_in_person.html"
    form_class = InPersonForm
    done = _("Verified in person. The member is open to you for 15 minutes.")

    def act(self, form: InPersonForm, source: str) -> Refusal | HttpResponse | None:
        return verification.check_in_person(
            member=self.member,
            by=self.staff,
            document=form.cleaned_data["document"],
            place=form.cleaned_data["place"],
            source=source,
        )


class StartPinReset(_AtTheWindow):
    """Stop the old PIN, and show the ticket once."""

    permission = pin_reset.PERMISSION
    address = "pin-reset"
    url_name = "member_pin_reset"
    title = _("Start a PIN re-set")
    template_name = "admin/members/member/pin_reset.html"
    form_class = StartPinResetForm

    def act(self, form: StartPinResetForm, source: str) -> Refusal | HttpResponse | None:
        prepared = form.cleaned_data["prepared_ticket"]
        ticket = pin_reset.start(
            member=self.member,
            by=self.staff,
            document=form.cleaned_data["document"],
            place=form.cleaned_data["place"],
            prepared_ticket=prepared,
            source=source,
        )
        if isinstance(ticket, Refusal):
            return ticket
        template = "admin/members/member/ticket.html"
        return self.once(template, ticket="" if prepared else grouped(ticket, 4))

    def get_context_data(self, **context: Any) -> dict[str, Any]:
        under_way = pin_reset.at_the_terminal(self.member)
        if under_way and under_way.started_at:
            context = {
                "started_at": local_time(under_way.started_at),
                "started_by": under_way.started_by,
                **context,
            }
        return super().get_context_data(**context)


class PreparePinReset(DeskPage):
    """Prepare a re-set for a contract machine, and read the ticket out."""

    permission = pin_reset.PREPARE
    address = "prepare-pin-reset"
    url_name = "member_prepare_pin_reset"
    title = _("Prepare a PIN re-set")
    template_name = "admin/members/member/prepare_pin_reset.html"
    needs_verification = True

    def act(self, form: Any, source: str) -> Refusal | HttpResponse | None:
        ticket = pin_reset.prepare(member=self.member, by=self.staff, source=source)
        if isinstance(ticket, Refusal):
            return ticket
        return self.once("admin/members/member/prepared.html", ticket=grouped(ticket, 4))


PAGES: tuple[type[DeskPage], ...] = (VerifyInPerson, StartPinReset, PreparePinReset)
