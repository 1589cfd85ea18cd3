"""What the acts of signing in, registering and re-setting leave behind.

Times are the database's clock (`db_default=Now()`): a web server's clock that is wrong moves
neither an expiry nor a suspension.
"""

from __future__ import annotations

from django.conf import settings
from django.db import models
from django.db.models.functions import Now
from django.utils.translation import gettext_lazy as _


class Session(models.Model):
    """An open session: of a visitor in the middle of a registration, a member or staff."""

    key = models.CharField(primary_key=True, max_length=40)
    user = models.ForeignKey(
        settings.AUTH_USER_MODEL, models.CASCADE, null=True, related_name="sessions"
    )
    data = models.TextField()
    opened_at = models.DateTimeField(db_default=Now())
    last_seen_at = models.DateTimeField(db_default=Now(), db_index=True)

    class Meta:
        verbose_name = _("session")
        verbose_name_plural = _("sessions")

    def __str__(self) -> str:
        # Never the key: whoever knows it holds the session.
        return f"session of user {self.user_id}"


class Event(models.Model):
    """One line of the record: who did what to whom, when, from where, how.

    Append-only, and without foreign keys, so that it outlives what it speaks of. Never a secret.
    """

    class Act(models.TextChoices):
        SIGNED_IN = "signed_in", _("signed in")
        SIGN_IN_FAILED = "sign_in_failed", _("failed to sign in")
        SIGNED_OUT = "signed_out", _("signed out")
        SUSPENDED = "suspended", _("suspended")
        REINSTATED = "reinstated", _("suspension lifted")
        CODE_SENT = "code_sent", _("code mailed")
        CODE_FAILED = "code_failed", _("wrong code")
        CODE_CONFIRMED = "code_confirmed", _("code came back")
        WEB_ID_REGISTERED = "web_id_registered", _("Web-ID registered")
        PIN_RESET_STARTED = "pin_reset_started", _("PIN re-set started")
        PIN_SET = "pin_set", _("PIN set by the member")
        TICKET_FAILED = "ticket_failed", _("wrong ticket")
        MEMBER_SEEN = "member_seen", _("member's page seen")
        MEMBERS_SEARCHED = "members_searched", _("members searched")
        ACCESS_REFUSED = "access_refused", _("not permitted")

    at = models.DateTimeField(_("when"), db_default=Now(), editable=False)
    act = models.CharField(_("act"), max_length=24, choices=Act.choices)
    by = models.CharField(_("who"), max_length=160)
    whom = models.CharField(_("whom"), max_length=160, blank=True)
    source = models.CharField(_("from where"), max_length=45, blank=True)
    details = models.JSONField(_("how"), default=dict, blank=True)

    class Meta:
        verbose_name = _("event")
        verbose_name_plural = _("events")
        default_permissions = ("view",)
        indexes = [
            models.Index(fields=["whom", "at"], name="event_whom"),
            models.Index(fields=["by", "at"], name="event_by"),
            models.Index(fields=["act", "at"], name="event_act"),
        ]

    def __str__(self) -> str:
        return f"{self.at:%Y-%m-%d %H:%M} {self.act} {self.whom}"


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


class PinReset(models.Model):
    """A PIN re-set that staff started in person; its ticket is stored keyed-hashed."""

    card = models.ForeignKey("members.Card", models.PROTECT, related_name="pin_resets")
    ticket_digest = models.CharField(max_length=64)
    started_at = models.DateTimeField(_("started at"), db_default=Now(), editable=False)
    started_by = models.CharField(_("started by"), max_length=160)
    document = models.CharField(_("identity document seen"), max_length=32)
    place = models.CharField(_("where"), max_length=100)
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
