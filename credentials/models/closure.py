"""Requests to end a membership."""

from __future__ import annotations

from django.db import models
from django.db.models.functions import Now
from django.utils.translation import gettext_lazy as _


class Closure(models.Model):
    """A member asked to end the membership: by which way, what was checked, how it ended."""

    class Via(models.TextChoices):
        PORTAL = "portal", _("on the portal")
        PHONE = "phone", _("on the phone")
        WINDOW = "window", _("at the window")

    class State(models.TextChoices):
        ASKED = "asked", _("asked for")
        CHECKED = "checked", _("checked; waits for a second pair of eyes")
        CLOSED = "closed", _("membership closed")
        WITHDRAWN = "withdrawn", _("withdrawn")

    member = models.ForeignKey("members.Member", models.PROTECT, related_name="closures")
    state = models.CharField(_("state"), max_length=10, choices=State.choices, default=State.ASKED)
    via = models.CharField(_("asked for"), max_length=8, choices=Via.choices)
    asked_at = models.DateTimeField(_("asked at"), db_default=Now(), editable=False)
    asked_by = models.CharField(_("asked by"), max_length=160)
    certificate = models.BooleanField(_("certificate wanted"), default=False)
    checked_at = models.DateTimeField(_("checked at"), null=True, blank=True)
    checked_by = models.CharField(_("checked by"), max_length=160, blank=True)
    ended_at = models.DateTimeField(_("ended at"), null=True, blank=True)
    ended_by = models.CharField(_("ended by"), max_length=160, blank=True)

    class Meta:
        verbose_name = _("closure")
        verbose_name_plural = _("closures")
        default_permissions = ("view",)
        constraints = [
            models.UniqueConstraint(
                fields=["member"],
                condition=models.Q(ended_at__isnull=True),
                name="closure_one_open_for_each_member",
            )
        ]
        indexes = [models.Index(fields=["state", "asked_at"], name="closure_state")]

    def __str__(self) -> str:
        return f"closure {self.pk}"
