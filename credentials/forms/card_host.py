"""Keys of the card host: what staff state."""

from __future__ import annotations

from django import forms
from django.utils.translation import gettext_lazy as _

from credentials.api_keys import LIFE_DAYS, LONGEST_LIFE_DAYS
from credentials.models import ApiKey


class ReasonForm(forms.Form):
    """Staff: why."""

    reason = forms.CharField(
        label=_("Reason"),
        max_length=500,
        error_messages={"required": _("State the reason.")},
        widget=forms.Textarea(attrs={"rows": 3}),
    )


class MakeKeyForm(ReasonForm):
    """Staff: make a key."""

    scope = forms.ChoiceField(label=_("The key may"), choices=ApiKey.Scope.choices)
    days = forms.IntegerField(
        label=_("Valid for how many days"),
        help_text=_("Empty: a year."),
        initial=LIFE_DAYS,
        required=False,
        min_value=1,
        max_value=LONGEST_LIFE_DAYS,
    )
    field_order = ("scope", "days", "reason")
