"""What a page asks for. A form reads what was typed and says what is malformed; the act decides.

Nothing that was typed is lost on a refusal, but secrets are never written back into a page.
"""

from __future__ import annotations

from typing import Any

from django import forms
from django.conf import settings
from django.contrib.auth.password_validation import validate_password
from django.core.exceptions import ValidationError
from django.core.validators import validate_email
from django.http import HttpRequest
from django.utils.translation import get_language
from django.utils.translation import gettext_lazy as _

from credentials import login, passwords, pin_reset, registration
from credentials.refusals import Refusal, Why
from credentials.throttling import client_address
from members.models import User
from members.numbers import (
    CARD_NUMBER_LENGTH,
    MEMBER_NUMBER_LENGTH,
    is_digits,
    plain_digits,
    plain_email,
    validate_card_number,
    validate_member_number,
    validate_pin_shape,
    validate_web_id,
)

# Room for spaces and hyphens around the longest number; more than that is no number.
_AS_TYPED = 64


class NumberField(forms.CharField):
    """Digits as people type them: full-width, with spaces and hyphens."""

    def __init__(self, *, autocomplete: str, secret: bool = False, **options: Any) -> None:
        kind = forms.PasswordInput if secret else forms.TextInput
        attributes = {"inputmode": "numeric", "autocomplete": autocomplete, "spellcheck": "false"}
        super().__init__(max_length=_AS_TYPED, strip=True, widget=kind(attrs=attributes), **options)
        # The length counts what was typed; the browser must not cut it before we have read it.
        self.widget.attrs.pop("maxlength", None)

    def to_python(self, value: Any) -> str:
        return plain_digits(super().to_python(value) or "")


class PinField(NumberField):
    """A PIN: four digits, hidden while typing, never written back."""

    def __init__(self, **options: Any) -> None:
        options.setdefault("autocomplete", "off")
        super().__init__(secret=True, validators=[validate_pin_shape], **options)


class PasswordField(forms.CharField):
    """A password, as it is hashed. Never stripped, never cut, never written back."""

    def __init__(self, *, autocomplete: str, **options: Any) -> None:
        widget = forms.PasswordInput(attrs={"autocomplete": autocomplete})
        super().__init__(strip=False, widget=widget, **options)

    def to_python(self, value: Any) -> str:
        return passwords.plain(super().to_python(value) or "")


def _text_input(**attributes: str) -> forms.TextInput:
    plain = {"autocapitalize": "none", "spellcheck": "false"}
    return forms.TextInput(attrs={**plain, **attributes})


class ActForm(forms.Form):
    """A form whose well-formed content goes to one act, which may refuse it."""

    refused = _("That did not work.")

    def act(self, request: HttpRequest) -> Refusal | None:
        """Ask the act that this form is for."""
        raise NotImplementedError

    def show(self, refusal: Refusal) -> None:
        """Make the act's refusal an error of the form."""
        self.add_error(None, ValidationError(self.message(refusal), code=refusal.why.value))

    def message(self, refusal: Refusal) -> Any:
        """Return what the page says of a refusal, and what to do next."""
        match refusal.why:
            case Why.THROTTLED:
                return _(
                    "Too many tries came from your network. Nothing was counted against you. "
                    "Wait %(minutes)s minutes and try again, or call us."
                ) % {"minutes": max(-(-refusal.retry_after // 60), 1)}
            case Why.BUSY:
                return _(
                    "Very many members are signing in right now. Nothing was counted against "
                    "you. Please try again in a few seconds."
                )
            case _:
                return refusal.reason or self.refused


class CardSignInForm(ActForm):
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
        return login.log_in_with_card(
            card_number=self.cleaned_data["card_number"],
            pin=self.cleaned_data["pin"],
            session=request.session,
            source=client_address(request),
            language=get_language() or settings.LANGUAGE_CODE,
        )


class WebIDSignInForm(ActForm):
    """Web-ID and password."""

    web_id = forms.CharField(
        label=_("Web-ID"),
        help_text=_("The one you registered: 8 to 32 letters and digits. Case does not matter."),
        max_length=_AS_TYPED,
        widget=_text_input(autocomplete="username"),
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
        return login.log_in_with_web_id(
            web_id=self.cleaned_data["web_id"],
            password=self.cleaned_data["password"],
            session=request.session,
            source=client_address(request),
            language=get_language() or settings.LANGUAGE_CODE,
        )


class RegistrationForm(ActForm):
    """Step 1 of the registration: who wants to register."""

    member_number = NumberField(
        label=_("Member number"),
        help_text=_("Nine digits, for example 123 456 789."),
        autocomplete="off",
        error_messages={"required": _("Type your member number.")},
    )
    email = forms.CharField(
        label=_("Registered email address"),
        help_text=_("The address you gave us. A code is mailed to it."),
        max_length=254,
        widget=forms.EmailInput(attrs={"autocomplete": "email", "inputmode": "email"}),
        error_messages={"required": _("Type your registered email address.")},
    )

    def clean_member_number(self) -> str:
        number: str = self.cleaned_data["member_number"]
        if is_digits(number, CARD_NUMBER_LENGTH):
            raise ValidationError(
                _(
                    "That looks like a card number. The member number has nine digits; "
                    "you find it on the top page after signing in with the card."
                ),
                code="card_number",
            )
        validate_member_number(number)
        return number

    def clean_email(self) -> str:
        email = plain_email(self.cleaned_data["email"])
        try:
            validate_email(email)
        except ValidationError as error:
            raise ValidationError(
                _("Type an email address like name@example.com."), code="email"
            ) from error
        return email

    def act(self, request: HttpRequest) -> Refusal | None:
        return registration.ask(
            member_number=self.cleaned_data["member_number"],
            email=self.cleaned_data["email"],
            session=request.session,
            source=client_address(request),
            language=get_language() or settings.LANGUAGE_CODE,
        )


class CodeForm(ActForm):
    """Step 2: the code that was mailed."""

    code = NumberField(
        label=_("Six-digit code"),
        help_text=_("From the mail we sent."),
        autocomplete="one-time-code",
        error_messages={"required": _("Type the code from the mail.")},
    )
    refused = _(
        "This code is not right, or it has expired or been used. Check it against the newest "
        "mail, or have a new code sent. A new code does not bring new tries."
    )

    def clean_code(self) -> str:
        code: str = self.cleaned_data["code"]
        if not is_digits(code, registration.CODE_LENGTH):
            raise ValidationError(_("The code has six digits."), code="code")
        return code

    def act(self, request: HttpRequest) -> Refusal | None:
        return registration.confirm(
            code=self.cleaned_data["code"],
            session=request.session,
            source=client_address(request),
        )


class ChooseForm(ActForm):
    """Step 3: Web-ID and password of one's own."""

    web_id = forms.CharField(
        label=_("Web-ID"),
        help_text=_(
            "8 to 32 half-width letters and digits, at least one of each. Case does not matter."
        ),
        max_length=_AS_TYPED,
        widget=_text_input(autocomplete="username"),
        error_messages={"required": _("Choose a Web-ID.")},
    )
    password1 = PasswordField(
        label=_("Password"),
        help_text=_(
            "12 to 128 characters of any kind. Several words in a row are easy to remember."
        ),
        autocomplete="new-password",
        error_messages={"required": _("Choose a password.")},
    )
    password2 = PasswordField(
        label=_("Password again"),
        autocomplete="new-password",
        error_messages={"required": _("Type the password again.")},
    )
    refused = _("This registration has expired. Start it again.")

    def __init__(self, *args: Any, registrant: User, **options: Any) -> None:
        super().__init__(*args, **options)
        self.registrant = registrant

    def clean_web_id(self) -> str:
        web_id = passwords.plain(self.cleaned_data["web_id"]).strip()
        validate_web_id(web_id)
        return web_id

    def clean(self) -> dict[str, Any]:
        data = super().clean() or {}
        password, again = data.get("password1"), data.get("password2")
        if password:
            self.registrant.chosen_web_id = data.get("web_id", "")  # type: ignore[attr-defined]
            try:
                validate_password(password, self.registrant)
            except ValidationError as error:
                self.add_error("password1", error)
        if password and again and password != again:
            self.add_error(
                "password2", ValidationError(_("The two passwords differ."), code="differ")
            )
        return data

    def show(self, refusal: Refusal) -> None:
        if refusal.why is Why.TAKEN:
            self.add_error("web_id", ValidationError(refusal.reason, code="taken"))
        else:
            super().show(refusal)

    def act(self, request: HttpRequest) -> Refusal | None:
        return registration.register(
            web_id=self.cleaned_data["web_id"],
            password=self.cleaned_data["password1"],
            session=request.session,
            source=client_address(request),
        )


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


class ReinstateForm(forms.Form):
    """Staff: lift a suspension."""

    reason = forms.CharField(
        label=_("Reason, and how identity was verified"),
        max_length=500,
        widget=forms.Textarea(attrs={"rows": 3}),
    )


class StartPinResetForm(forms.Form):
    """Staff: start a PIN re-set, with the member at the window."""

    document = forms.ChoiceField(
        label=_("Identity document seen"), choices=pin_reset.Document.choices
    )
    place = forms.CharField(label=_("Store or contract machine"), max_length=100)
