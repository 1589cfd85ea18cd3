"""Lifting a suspension: what staff state."""

from __future__ import annotations

from django import forms
from django.utils.translation import gettext_lazy as _


class ReinstateForm(forms.Form):
    """Staff: lift a suspension."""

    reason = forms.CharField(
        label=_("Reason for lifting it"),
        max_length=500,
        error_messages={"required": _("State the reason.")},
        widget=forms.Textarea(attrs={"rows": 3}),
    )
