"""Signing in: the two ways of members, and the staff's."""

from __future__ import annotations

from django import forms
from django.conf import settings
from django.core.exceptions import ValidationError
from django.http import HttpRequest
from django.utils.translation import get_language
from django.utils.translation import gettext_lazy as _

from credentials import devices, login, passwords
from credentials.forms.fields import (
    AS_TYPED,
    ActForm,
    NumberField,
    PasswordField,
    PinField,
    text_input,
)
from credentials.refusals import Refusal
from credentials.throttling import client_address
from members.numbers import (
    CARD_NUMBER_LENGTH,
    MEMBER_NUMBER_LENGTH,
    is_digits,
    plain_digits,
    validate_card_number,
)


class MemberSignInForm(ActForm):
    """One of the members' ways in."""

    # The device as it is known once the member has signed in, for the browser to keep.
    device: devices.Device

    def _shown(self, outcome: devices.Device | Refusal) -> Refusal | None:
        if isinstance(outcome, Refusal):
            return outcome
        self.device = outcome
        return None


class CardSignInForm(MemberSignInForm):
    """Card number and PIN."""

    card_number = NumberField(
        label=_("Card number"),
        help_text=_("The 16 digits on the front of your card."),
        autocomplete="username",
        validators=[validate_card_number],
        error_messages={"required": _("Type your card number.")},
    )
    pin = PinField(
        label=_("PIN"),
        help_text=_("Four digits: the ones you use at the ATM."),
        autocomplete="current-password",
        error_messages={"required": _("Type your PIN.")},
    )
    refused = _(
        "We could not sign you in. Compare the card number with your card and type both again. "
        "If it does not work, the page “I can't sign in” shows what helps."
    )

    def act(self, request: HttpRequest) -> Refusal | None:
        return self._shown(
            login.log_in_with_card(
                card_number=self.cleaned_data["card_number"],
                pin=self.cleaned_data["pin"],
                session=request.session,
                source=client_address(request),
                device=devices.of(request),
                language=get_language() or settings.LANGUAGE_CODE,
            )
        )


class WebIDSignInForm(MemberSignInForm):
    """Web-ID and password."""

    web_id = forms.CharField(
        label=_("Web-ID"),
        help_text=_("The one you registered: 8 to 32 letters and digits. Case does not matter."),
        max_length=AS_TYPED,
        widget=text_input(autocomplete="username"),
        error_messages={"required": _("Type your Web-ID.")},
    )
    password = PasswordField(
        label=_("Password"),
        max_length=1024,
        autocomplete="current-password",
        error_messages={"required": _("Type your password.")},
    )
    refused = _(
        "We could not sign you in. Check Web-ID and password and type both again. "
        "If it does not work, the page “I can't sign in” shows what helps."
    )

    def clean_web_id(self) -> str:
        web_id = passwords.plain(self.cleaned_data["web_id"]).strip()
        digits = plain_digits(web_id)
        if is_digits(digits, MEMBER_NUMBER_LENGTH):
            raise ValidationError(
                _(
                    "That looks like a member number (nine digits). It does not sign in. "
                    "Type the Web-ID you registered, or sign in with your card number."
                ),
                code="member_number",
            )
        if is_digits(digits, CARD_NUMBER_LENGTH):
            raise ValidationError(
                _("That looks like a card number. Choose “Card number and PIN” to use it."),
                code="card_number",
            )
        return web_id

    def act(self, request: HttpRequest) -> Refusal | None:
        return self._shown(
            login.log_in_with_web_id(
                web_id=self.cleaned_data["web_id"],
                password=self.cleaned_data["password"],
                session=request.session,
                source=client_address(request),
                device=devices.of(request),
                language=get_language() or settings.LANGUAGE_CODE,
            )
        )


class StaffSignInForm(ActForm):
    """Staff name and password."""

    username = forms.CharField(
        label=_("Staff name"),
        max_length=150,
        widget=forms.TextInput(
            attrs={"autocomplete": "username", "autocapitalize": "none", "autofocus": True}
        ),
    )
    password = PasswordField(label=_("Password"), max_length=1024, autocomplete="current-password")
    refused = _("Name and password do not go together, or the account is suspended.")

    def act(self, request: HttpRequest) -> Refusal | None:
        return login.log_in_staff(
            username=self.cleaned_data["username"],
            password=self.cleaned_data["password"],
            session=request.session,
            source=client_address(request),
            language=get_language() or settings.LANGUAGE_CODE,
        )
