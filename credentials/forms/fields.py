"""What every form is made of.

Nothing that was typed is lost on a refusal, but PINs and passwords are never written back.
"""

from __future__ import annotations

from typing import Any

from django import forms
from django.conf import settings
from django.core.exceptions import ValidationError
from django.http import HttpRequest
from django.utils.translation import gettext_lazy as _

from credentials import passwords
from credentials.refusals import Refusal, Why
from members.numbers import plain_digits, validate_pin_shape

# Room for spaces and hyphens around the longest number; more than that is no number.
AS_TYPED = 64


class NumberField(forms.CharField):
    """Digits as people type them: full-width, with spaces and hyphens."""

    def __init__(self, *, autocomplete: str, secret: bool = False, **options: Any) -> None:
        kind = forms.PasswordInput if secret else forms.TextInput
        attributes = {"inputmode": "numeric", "autocomplete": autocomplete, "spellcheck": "false"}
        super().__init__(max_length=AS_TYPED, strip=True, widget=kind(attrs=attributes), **options)
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


def text_input(**attributes: str) -> forms.TextInput:
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
            case Why.CLOSED:
                return _(
                    "Because of very many failed attempts all over the site, card number and PIN "
                    "are closed for a while on devices that you have not signed in on before. "
                    "Nothing was counted against you. Sign in with Web-ID and password, or call "
                    "us: %(phone)s."
                ) % {"phone": settings.CALL_CENTRE_PHONE}
            case Why.BUSY:
                return _(
                    "Very many members are signing in right now. Nothing was counted against "
                    "you. Please try again in a few seconds."
                )
            case _:
                return refusal.reason or self.refused
