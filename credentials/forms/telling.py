"""Telling the member number: what staff state."""

from __future__ import annotations

from django import forms
from django.utils.translation import gettext_lazy as _


class TellForm(forms.Form):
    """Why the caller needs the number."""

    reason = forms.CharField(
        label=_("What the caller needs the number for"),
        max_length=500,
        widget=forms.Textarea(attrs={"rows": 2}),
        error_messages={"required": _("State the reason.")},
    )
