"""The three steps of the Web-ID registration."""

from __future__ import annotations

from typing import Any

from django import forms
from django.conf import settings
from django.contrib.auth.password_validation import validate_password
from django.core.exceptions import ValidationError
from django.core.validators import MaxLengthValidator, validate_email
from django.http import HttpRequest
from django.utils.translation import get_language
from django.utils.translation import gettext_lazy as _

from credentials import passwords, registration
from credentials.forms.fields import AS_TYPED, ActForm, NumberField, PasswordField, text_input
from credentials.refusals import Refusal, Why
from credentials.throttling import client_address
from members.models import User
from members.numbers import (
    CARD_NUMBER_LENGTH,
    EMAIL_LENGTH,
    is_digits,
    plain_email,
    validate_member_number,
    validate_web_id,
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
        max_length=EMAIL_LENGTH,
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
            # Again: the form that is compared can be longer than what was typed.
            MaxLengthValidator(EMAIL_LENGTH)(email)
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
        max_length=AS_TYPED,
        widget=text_input(autocomplete="username"),
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
