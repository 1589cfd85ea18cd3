"""The lender's card host: its keys, and what it asked."""

from __future__ import annotations

from django.db import models
from django.db.models.functions import Now
from django.utils.translation import gettext_lazy as _


class ApiClient(models.Model):
    """A system of the lender that may call the API."""

    name = models.CharField(_("name"), max_length=100, unique=True)
    is_active = models.BooleanField(_("active"), default=True)
    created_at = models.DateTimeField(_("created at"), db_default=Now(), editable=False)

    class Meta:
        verbose_name = _("API client")
        verbose_name_plural = _("API clients")

    def __str__(self) -> str:
        return self.name


class ApiKey(models.Model):
    """A key of a client: shown once, stored hashed, for one scope; several overlap in rotation."""

    class Scope(models.TextChoices):
        CARD_VERIFICATIONS = "card-verifications", _("verify cards")

    client = models.ForeignKey(ApiClient, models.PROTECT, related_name="keys")
    prefix = models.CharField(_("begins with"), max_length=12, unique=True)
    key_digest = models.CharField(max_length=64)
    scope = models.CharField(_("scope"), max_length=32, choices=Scope.choices)
    created_at = models.DateTimeField(_("created at"), db_default=Now(), editable=False)
    created_by = models.CharField(_("created by"), max_length=160)
    expires_at = models.DateTimeField(_("expires at"))
    revoked_at = models.DateTimeField(_("revoked at"), null=True, blank=True)

    class Meta:
        verbose_name = _("API key")
        verbose_name_plural = _("API keys")
        default_permissions = ("view",)

    def __str__(self) -> str:
        return f"{self.prefix}…"


class CardVerification(models.Model):
    """One question of the card host, by its trace number, and our answer to it.

    Kept so that a repeated question gets the same answer and is counted once. `request_digest`
    is keyed with the PIN key, so it gives nothing away without it.
    """

    client = models.ForeignKey(ApiClient, models.PROTECT, related_name="verifications")
    trace = models.CharField(_("trace number"), max_length=64)
    request_digest = models.CharField(max_length=64)
    terminal = models.CharField(_("terminal"), max_length=32)
    asked_at = models.DateTimeField(_("asked at"), db_default=Now(), editable=False)
    response_code = models.CharField(_("response code"), max_length=2, blank=True)

    class Meta:
        verbose_name = _("card verification")
        verbose_name_plural = _("card verifications")
        default_permissions = ("view",)
        constraints = [
            models.UniqueConstraint(fields=["client", "trace"], name="cardverification_trace_once")
        ]
        indexes = [models.Index(fields=["asked_at"], name="cardverification_asked")]

    def __str__(self) -> str:
        return f"card verification {self.trace}"
