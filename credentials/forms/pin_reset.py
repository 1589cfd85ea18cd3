"""A PIN re-set: what staff state to start it, and what the member types at the terminal."""

from __future__ import annotations

from typing import Any

from django.core.exceptions import ValidationError
from django.http import HttpRequest
from django.utils.translation import gettext_lazy as _

from credentials import pin_reset
from credentials.forms.fields import ActForm, NumberField, PinField
from credentials.forms.verification import InPersonForm
from credentials.refusals import Refusal, Why
from credentials.throttling import client_address
from members.numbers import is_digits, validate_card_number


class StartPinResetForm(InPersonForm):
    """Staff: start a PIN re-set, with the member at the window or the contract machine."""

    prepared_ticket = NumberField(
        label=_("Prepared ticket"),
        help_text=_("Only where the member brings one: eight digits. Empty: a new one is made."),
        autocomplete="off",
        required=False,
    )

    def clean_prepared_ticket(self) -> str:
        ticket: str = self.cleaned_data["prepared_ticket"]
        if ticket and not is_digits(ticket, pin_reset.TICKET_LENGTH):
            raise ValidationError(_("The ticket has eight digits."), code="ticket")
        return ticket


class PinForm(ActForm):
    """The terminal in the store: ticket and new PIN."""

    card_number = NumberField(
        label=_("Card number"),
        help_text=_("The 16 digits on the front of your card."),
        autocomplete="off",
        validators=[validate_card_number],
        error_messages={"required": _("Type your card number.")},
    )
    ticket = NumberField(
        label=_("Ticket"),
        help_text=_("The eight digits that our staff gave you."),
        autocomplete="off",
        error_messages={"required": _("Type the ticket.")},
    )
    pin1 = PinField(
        label=_("New PIN"),
        help_text=_("Four digits that only you know."),
        error_messages={"required": _("Choose a PIN.")},
    )
    pin2 = PinField(label=_("New PIN again"), error_messages={"required": _("Type the PIN again.")})
    refused = _(
        "Card number and ticket do not go together, or the ticket has expired or been used. "
        "Compare both; if it does not work, ask our staff for a new ticket."
    )

    def clean_ticket(self) -> str:
        ticket: str = self.cleaned_data["ticket"]
        if not is_digits(ticket, pin_reset.TICKET_LENGTH):
            raise ValidationError(_("The ticket has eight digits."), code="ticket")
        return ticket

    def clean(self) -> dict[str, Any]:
        data = super().clean() or {}
        if data.get("pin1") and data.get("pin2") and data["pin1"] != data["pin2"]:
            self.add_error("pin2", ValidationError(_("The two PINs differ."), code="differ"))
        return data

    def show(self, refusal: Refusal) -> None:
        if refusal.why is Why.WEAK:
            self.add_error("pin1", ValidationError(refusal.reason, code="weak"))
        else:
            super().show(refusal)

    def act(self, request: HttpRequest) -> Refusal | None:
        return pin_reset.set_pin(
            card_number=self.cleaned_data["card_number"],
            ticket=self.cleaned_data["ticket"],
            pin=self.cleaned_data["pin1"],
            source=client_address(request),
        )
