"""What an administrator saves about a colleague's account, and why; the reason goes on record."""

from __future__ import annotations

from django import forms
from django.contrib.auth.forms import (
    AdminPasswordChangeForm,
    AdminUserCreationForm,
    UserChangeForm,
)
from django.utils.translation import gettext_lazy as _


class ReasonForm(forms.Form):
    """Staff: what is done about a colleague's account, and why."""

    reason = forms.CharField(
        label=_("Reason, and how you made sure who asks"),
        max_length=500,
        widget=forms.Textarea(attrs={"rows": 3}),
    )


class AddStaffForm(AdminUserCreationForm, ReasonForm):
    """Make an account."""


class ChangeStaffForm(UserChangeForm, ReasonForm):
    """Change the roles, or close."""


class SetPasswordForm(AdminPasswordChangeForm, ReasonForm):
    """Set a password, or take it away."""
