"""Suspending at the member's word, and lifting a suspension: what staff state."""

from __future__ import annotations

from typing import Any

from django import forms
from django.utils.translation import gettext_lazy as _

from members.search import MOST_TYPED


class ReinstateForm(forms.Form):
    """Staff: lift a suspension."""

    reason = forms.CharField(
        label=_("Reason for lifting it"),
        max_length=500,
        error_messages={"required": _("State the reason.")},
        widget=forms.Textarea(attrs={"rows": 3}),
    )


class SuspendForm(forms.Form):
    """Staff: stop an account and card at the member's word."""

    said = forms.CharField(
        label=_("Name in kana and birth date, as the caller says them"),
        max_length=MOST_TYPED,
        help_text=_("For example スズキ タロウ 1975-04-01 or S50.4.1."),
        error_messages={"required": _("Ask for the name and the birth date, and type both.")},
    )
    reason = forms.CharField(
        label=_("What happened"),
        max_length=500,
        error_messages={"required": _("State the reason.")},
        widget=forms.Textarea(attrs={"rows": 3}),
    )

    def __init__(self, *args: Any, verified: bool, **options: Any) -> None:
        super().__init__(*args, **options)
        if verified:
            del self.fields["said"]
