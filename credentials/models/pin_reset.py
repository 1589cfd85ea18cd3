"""PIN re-sets in progress."""

from __future__ import annotations

from django.db import models
from django.db.models.functions import Now
from django.utils.translation import gettext_lazy as _


class PinReset(models.Model):
    """A PIN re-set that staff started in person; its ticket is stored keyed-hashed."""

    card = models.ForeignKey("members.Card", models.PROTECT, related_name="pin_resets")
    ticket_digest = models.CharField(max_length=64)
    prepared_at = models.DateTimeField(_("prepared at"), db_default=Now(), editable=False)
    prepared_by = models.CharField(_("prepared by"), max_length=160)
    started_at = models.DateTimeField(
        _("started at"),
        null=True,
        blank=True,
        help_text=_("Empty: prepared, but no identity document seen yet; the old PIN still holds."),
    )
    started_by = models.CharField(_("started by"), max_length=160, blank=True)
    document = models.CharField(_("identity document seen"), max_length=32, blank=True)
    place = models.CharField(_("where"), max_length=100, blank=True)
    attempts = models.PositiveIntegerField(default=0)
    ended_at = models.DateTimeField(_("used or replaced at"), null=True, blank=True)

    class Meta:
        verbose_name = _("PIN re-set")
        verbose_name_plural = _("PIN re-sets")
        default_permissions = ("view",)
        constraints = [
            models.UniqueConstraint(
                fields=["card"],
                condition=models.Q(ended_at__isnull=True),
                name="pinreset_one_open_for_each_card",
            )
        ]

    def __str__(self) -> str:
        return f"PIN re-set {self.pk}"
