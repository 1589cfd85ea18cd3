"""Verifying who calls, or who stands at the window: what staff tick, type and state."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from django import forms
from django.core.exceptions import ValidationError
from django.utils.translation import gettext_lazy as _

from credentials import verification
from credentials.forms.fields import NumberField
from members.numbers import is_digits


class QuestionsForm(forms.Form):
    """The questions on the phone; ticked is what was answered right. None ticked: not verified."""

    answered = forms.MultipleChoiceField(
        label=_("Answered right"),
        required=False,
        widget=forms.CheckboxSelectMultiple,
    )

    def __init__(
        self, *args: Any, questions: Sequence[verification.Question], **options: Any
    ) -> None:
        super().__init__(*args, **options)
        field = self.fields["answered"]
        assert isinstance(field, forms.MultipleChoiceField)  # noqa: S101 declared above
        field.choices = [(question.fact.value, question.fact.label) for question in questions]


class HandOffForm(forms.Form):
    """The code that the member reads out."""

    code = NumberField(
        label=_("Hand-off code"),
        autocomplete="off",
        error_messages={"required": _("Type the code that the caller reads out.")},
    )

    def clean_code(self) -> str:
        code: str = self.cleaned_data["code"]
        if not is_digits(code, verification.HAND_OFF_LENGTH):
            # Said before it is judged: a slip of the fingers costs the member nothing.
            raise ValidationError(
                _("The code has six digits. This was not counted as a failure."), code="code"
            )
        return code


class InPersonForm(forms.Form):
    """The identity document that staff saw, and where."""

    document = forms.ChoiceField(
        label=_("Identity document seen"),
        # Nothing is chosen beforehand: a careless click would record what nobody saw.
        choices=[("", "—"), *verification.Document.choices],
    )
    place = forms.CharField(
        label=_("Store or contract machine"),
        max_length=100,
        error_messages={"required": _("State where you saw the document.")},
    )
