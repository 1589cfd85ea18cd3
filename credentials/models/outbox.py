"""What waits to be mailed."""

from __future__ import annotations

from django.db import models
from django.db.models.functions import Now
from django.utils.translation import gettext_lazy as _


class OutboxMail(models.Model):
    """A mail that must go out: what kind and about whom. The text is made when it is sent.

    `due_at` is both the lease of the worker that tries it and the wait until the next try.
    """

    kind = models.CharField(_("kind"), max_length=32)
    member = models.ForeignKey(
        "members.Member", models.PROTECT, null=True, blank=True, related_name="+"
    )
    context = models.JSONField(default=dict, blank=True)
    queued_at = models.DateTimeField(_("queued at"), db_default=Now(), editable=False)
    due_at = models.DateTimeField(_("due at"), db_default=Now())
    tries = models.PositiveIntegerField(_("tries"), default=0)
    closed_at = models.DateTimeField(_("sent or given up at"), null=True, blank=True)
    outcome = models.CharField(_("outcome"), max_length=16, blank=True)
    last_error = models.CharField(_("last error"), max_length=200, blank=True)

    class Meta:
        verbose_name = _("outgoing mail")
        verbose_name_plural = _("outgoing mails")
        default_permissions = ("view",)
        indexes = [
            models.Index(
                fields=["due_at"],
                name="outboxmail_waiting",
                condition=models.Q(closed_at__isnull=True),
            ),
            models.Index(fields=["queued_at"], name="outboxmail_queued"),
        ]

    def __str__(self) -> str:
        return f"{self.kind} {self.pk}"
