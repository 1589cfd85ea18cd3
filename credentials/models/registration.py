"""Web-ID registrations in progress."""

from __future__ import annotations

from django.db import models
from django.db.models.functions import Now
from django.utils.translation import gettext_lazy as _


class RegistrationRequest(models.Model):
    """Somebody asked to register a Web-ID with this member number and address.

    One row for each pair, whether it matches a member or not, so that both look alike from
    outside; and one live code for each row, so that asking again leaves one code and the count
    of wrong ones as it was. Codes are stored keyed-hashed.
    """

    subject = models.CharField(
        max_length=64, unique=True, help_text=_("Keyed hash of member number and address.")
    )
    member_number = models.CharField(_("member number"), max_length=9)
    email = models.CharField(_("address"), max_length=254)
    language = models.CharField(max_length=8)
    asked_at = models.DateTimeField(db_default=Now())
    binding = models.CharField(max_length=64, help_text=_("Keyed hash of the asking browser."))

    code_digest = models.CharField(max_length=64, blank=True)
    epoch = models.PositiveIntegerField(null=True, help_text=_("The user's, when it was mailed."))
    sent_at = models.DateTimeField(null=True)
    confirmed_at = models.DateTimeField(null=True)
    used_at = models.DateTimeField(null=True)

    attempts = models.PositiveIntegerField(default=0)
    attempts_since = models.DateTimeField(db_default=Now())
    mails = models.PositiveIntegerField(default=0)
    mails_since = models.DateTimeField(db_default=Now())

    class Meta:
        verbose_name = _("registration request")
        verbose_name_plural = _("registration requests")
        default_permissions = ()

    def __str__(self) -> str:
        return f"registration request {self.pk}"
