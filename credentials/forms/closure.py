"""Closure: what the member confirms, and what staff take down and check."""

from __future__ import annotations

from typing import Any

from django import forms
from django.core.exceptions import ValidationError
from django.http import HttpRequest
from django.utils.translation import gettext_lazy as _

from credentials import closure
from credentials.forms.fields import ActForm
from credentials.refusals import Refusal
from credentials.throttling import client_address
from members.models import Member


class AskClosureForm(ActForm):
    """The member, on the portal: sure, and with or without a certificate."""

    certificate = forms.BooleanField(
        label=_("I would like a certificate of closure by post"), required=False
    )
    sure = forms.BooleanField(
        label=_("I have read what ends and what stays, and want to close my membership"),
        error_messages={"required": _("Please confirm that you want to close your membership.")},
    )

    def __init__(self, *args: Any, member: Member, **options: Any) -> None:
        super().__init__(*args, **options)
        self.member = member

    def act(self, request: HttpRequest) -> Refusal | None:
        return closure.ask(
            member=self.member,
            certificate=self.cleaned_data["certificate"],
            source=client_address(request),
        )


class TakeDownClosureForm(forms.Form):
    """Staff: the member asks on the phone or at the window."""

    certificate = forms.BooleanField(label=_("Certificate wanted"), required=False)


class CheckClosureForm(forms.Form):
    """Staff: the checklist before a membership is closed."""

    no_balance = forms.BooleanField(
        label=_("No balance, interest or fee is owed (looked up in the core system)"),
        required=False,
    )
    nothing_open = forms.BooleanField(
        label=_("No payment, refund or enquiry is open (looked up in the core system)"),
        required=False,
    )

    def clean(self) -> dict[str, Any]:
        data = super().clean() or {}
        if not (data.get("no_balance") and data.get("nothing_open")):
            raise ValidationError(_("Everything on the list must be confirmed."), code="list")
        return data
