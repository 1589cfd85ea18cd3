"""The second step of the staff's sign-in, and the staff's own password."""

from __future__ import annotations

from typing import Any

from django import forms
from django.conf import settings
from django.contrib.auth.password_validation import validate_password
from django.core.exceptions import ValidationError
from django.http import HttpRequest
from django.utils.translation import get_language
from django.utils.translation import gettext_lazy as _

from credentials import second_factor, staff_accounts, totp
from credentials.forms.fields import ActForm, NumberField, PasswordField
from credentials.refusals import Refusal
from credentials.throttling import client_address
from members.models import User
from members.numbers import is_digits

_REFUSED = _(
    "This code is not right, was used before, or the account is suspended. "
    "Wait for the next code and type that one."
)


class _NeverWrittenBack(forms.TextInput):
    """Shows what is typed, and comes back empty."""

    def format_value(self, value: Any) -> None:
        return None


class OneTimeCodeField(NumberField):
    """A code as people type it, full-width or with spaces; never written back into a page."""

    def __init__(self, **options: Any) -> None:
        super().__init__(autocomplete="one-time-code", **options)
        self.widget = _NeverWrittenBack(attrs={**self.widget.attrs, "autofocus": True})


class AppCodeForm(ActForm):
    """The six digits that the app shows."""

    code = OneTimeCodeField(
        label=_("Code of the app"),
        error_messages={"required": _("Type the code that the app shows.")},
    )
    refused = _REFUSED
    # What the act hands over, to be shown this once.
    recovery_codes: list[str]

    def clean_code(self) -> str:
        code: str = self.cleaned_data["code"]
        if not is_digits(code, totp.LENGTH):
            raise ValidationError(_("The code has six digits."), code="code")
        return code

    def _shown(self, outcome: list[str] | Refusal) -> Refusal | None:
        if isinstance(outcome, Refusal):
            return outcome
        self.recovery_codes = outcome
        return None


class EnrolForm(AppCodeForm):
    """The first code of an app that has just taken up the secret."""

    refused = _(
        "This code is not right. Check that the app has the entry of this page and that the "
        "phone's clock is right, and type the next code. This was not counted as a failure."
    )

    def act(self, request: HttpRequest) -> Refusal | None:
        return self._shown(
            second_factor.enrol(
                code=self.cleaned_data["code"],
                session=request.session,
                source=client_address(request),
                language=get_language() or settings.LANGUAGE_CODE,
            )
        )


class NewRecoveryCodesForm(AppCodeForm):
    """A fresh code of the app, for new recovery codes of one's own."""

    def act(self, request: HttpRequest) -> Refusal | None:
        assert isinstance(request.user, User)  # noqa: S101 the admin let nobody else in
        return self._shown(
            second_factor.new_recovery_codes(
                user=request.user,
                code=self.cleaned_data["code"],
                source=client_address(request),
            )
        )


class SecondFactorForm(AppCodeForm):
    """The code of the app, or a recovery code."""

    refused = _REFUSED

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self.fields["code"].label = _("Code of the app, or a recovery code")

    def clean_code(self) -> str:
        code: str = self.cleaned_data["code"]
        lengths = (totp.LENGTH, second_factor.RECOVERY_CODE_LENGTH)
        if not any(is_digits(code, length) for length in lengths):
            raise ValidationError(
                _("The code of the app has six digits, a recovery code ten."), code="code"
            )
        return code

    def act(self, request: HttpRequest) -> Refusal | None:
        return second_factor.verify(
            code=self.cleaned_data["code"],
            session=request.session,
            source=client_address(request),
            language=get_language() or settings.LANGUAGE_CODE,
        )


class OwnPasswordForm(ActForm):
    """Staff: one's own password. The fields are those of the admin's page."""

    old_password = PasswordField(
        label=_("Old password"), max_length=1024, autocomplete="current-password"
    )
    new_password1 = PasswordField(
        label=_("New password"),
        help_text=_(
            "12 to 128 characters of any kind. Several words in a row are easy to remember."
        ),
        autocomplete="new-password",
    )
    new_password2 = PasswordField(label=_("New password again"), autocomplete="new-password")
    refused = _("The old password is not right. This was counted as a failure to sign in.")

    def __init__(self, *args: Any, user: User, **options: Any) -> None:
        super().__init__(*args, **options)
        self.user = user

    def clean(self) -> dict[str, Any]:
        data = super().clean() or {}
        password, again = data.get("new_password1"), data.get("new_password2")
        if password:
            try:
                validate_password(password, self.user)
            except ValidationError as error:
                self.add_error("new_password1", error)
        if password and password == data.get("old_password"):
            self.add_error("new_password1", ValidationError(_("Choose another one."), code="same"))
        if password and again and password != again:
            self.add_error(
                "new_password2", ValidationError(_("The two passwords differ."), code="differ")
            )
        return data

    def show(self, refusal: Refusal) -> None:
        # The admin's page shows the errors of fields only.
        error = ValidationError(self.message(refusal), code=refusal.why.value)
        self.add_error("old_password", error)

    def act(self, request: HttpRequest) -> Refusal | None:
        return staff_accounts.change_own_password(
            user=self.user,
            old=self.cleaned_data["old_password"],
            new=self.cleaned_data["new_password1"],
            session=request.session,
            source=client_address(request),
        )
