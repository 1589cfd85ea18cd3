"""What staff prove besides the password."""

from __future__ import annotations

from django.conf import settings
from django.db import models
from django.db.models.functions import Now
from django.utils.translation import gettext_lazy as _


class SecondFactor(models.Model):
    """The authenticator app of a member of staff: its secret, sealed, and what of it was used.

    There is a row only once the first code came back.
    """

    user = models.OneToOneField(
        settings.AUTH_USER_MODEL, models.CASCADE, primary_key=True, related_name="second_factor"
    )
    sealed_secret = models.TextField(editable=False)
    last_step = models.BigIntegerField(
        help_text=_("The time step of the last code that was used: none works twice.")
    )
    enrolled_at = models.DateTimeField(_("enrolled at"), db_default=Now(), editable=False)

    class Meta:
        verbose_name = _("second factor")
        verbose_name_plural = _("second factors")
        default_permissions = ()

    def __str__(self) -> str:
        return f"second factor of user {self.pk}"


class RecoveryCode(models.Model):
    """A code for when the app is not at hand: shown once, stored keyed-hashed, used once."""

    second_factor = models.ForeignKey(SecondFactor, models.CASCADE, related_name="recovery_codes")
    code_digest = models.CharField(max_length=64)
    used_at = models.DateTimeField(null=True)

    class Meta:
        verbose_name = _("recovery code")
        verbose_name_plural = _("recovery codes")
        default_permissions = ()

    def __str__(self) -> str:
        return f"recovery code {self.pk}"
