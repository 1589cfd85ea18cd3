"""Identity verifications by staff, and the codes that make one strong."""

from __future__ import annotations

from django.conf import settings
from django.db import models
from django.db.models.functions import Now
from django.utils.translation import gettext_lazy as _


class IdentityCheck(models.Model):
    """A member of staff verified who somebody is, or tried to: when, how, and how it went."""

    class Channel(models.TextChoices):
        PHONE = "phone", _("questions on the phone")
        HAND_OFF = "hand_off", _("hand-off code")
        IN_PERSON = "in_person", _("identity document in person")

    member = models.ForeignKey("members.Member", models.PROTECT, related_name="identity_checks")
    by = models.ForeignKey(settings.AUTH_USER_MODEL, models.PROTECT, related_name="identity_checks")
    at = models.DateTimeField(_("when"), db_default=Now(), editable=False)
    channel = models.CharField(_("how"), max_length=12, choices=Channel.choices)
    passed = models.BooleanField(_("passed"))
    ended_at = models.DateTimeField(
        _("ended at"),
        null=True,
        blank=True,
        help_text=_("It opens nothing any more, before its fifteen minutes are over."),
    )
    asked = models.JSONField(_("asked"), default=list, blank=True)
    answered = models.JSONField(_("answered"), default=list, blank=True)
    document = models.CharField(_("identity document seen"), max_length=32, blank=True)
    place = models.CharField(_("where"), max_length=100, blank=True)

    class Meta:
        verbose_name = _("identity check")
        verbose_name_plural = _("identity checks")
        default_permissions = ("view",)
        indexes = [
            models.Index(fields=["member", "at"], name="identitycheck_member"),
            models.Index(fields=["by", "at"], name="identitycheck_by"),
        ]

    def __str__(self) -> str:
        return f"identity check {self.pk}"


class HandOffCode(models.Model):
    """The code a signed-in member reads to the operator. One for each member; keyed-hashed."""

    member = models.OneToOneField(
        "members.Member", models.PROTECT, primary_key=True, related_name="hand_off_code"
    )
    code_digest = models.CharField(max_length=64)
    made_at = models.DateTimeField(db_default=Now())
    used_at = models.DateTimeField(null=True)
    attempts = models.PositiveIntegerField(default=0)

    class Meta:
        verbose_name = _("hand-off code")
        verbose_name_plural = _("hand-off codes")
        default_permissions = ()

    def __str__(self) -> str:
        return f"hand-off code of member {self.member_id}"
