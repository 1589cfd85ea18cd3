"""The record."""

from __future__ import annotations

from django.db import models
from django.db.models.functions import Now
from django.utils.translation import gettext_lazy as _


class Event(models.Model):
    """One line of the record: who did what to whom, when, from where, how.

    Append-only, and without foreign keys, so that it outlives what it speaks of. Never a secret.
    The database itself refuses to change or delete a line (migration 0003). On SQLite a migration
    that alters this table makes it anew, without the triggers: such a one makes them again.
    """

    class Act(models.TextChoices):
        SIGNED_IN = "signed_in", _("signed in")
        SIGN_IN_FAILED = "sign_in_failed", _("failed to sign in")
        SIGNED_OUT = "signed_out", _("signed out")
        SIGNED_OUT_EVERYWHERE = "signed_out_everywhere", _("signed out everywhere")
        SIGN_IN_DISOWNED = "sign_in_disowned", _("“this wasn't me”")
        SUSPENDED = "suspended", _("suspended")
        REINSTATED = "reinstated", _("suspension lifted")
        CODE_SENT = "code_sent", _("code mailed")
        CODE_FAILED = "code_failed", _("wrong code")
        CODE_CONFIRMED = "code_confirmed", _("code came back")
        WEB_ID_REGISTERED = "web_id_registered", _("Web-ID registered")
        PIN_RESET_STARTED = "pin_reset_started", _("PIN re-set started")
        PIN_SET = "pin_set", _("PIN set by the member")
        ADDRESS_CHANGED = "address_changed", _("email address changed by the feed")
        CARD_CHANGED = "card_changed", _("card or PIN changed by the feed")
        TICKET_FAILED = "ticket_failed", _("wrong ticket")
        MEMBER_SEEN = "member_seen", _("member's page seen")
        MEMBERS_SEARCHED = "members_searched", _("members searched")
        ACCESS_REFUSED = "access_refused", _("not permitted")
        IDENTITY_VERIFIED = "identity_verified", _("identity verified")
        IDENTITY_FAILED = "identity_failed", _("identity not verified")
        PHONE_WAY_CLOSED = "phone_way_closed", _("phone way closed for today")
        HAND_OFF_CODE_MADE = "hand_off_code_made", _("hand-off code made")
        NUMBER_TOLD = "number_told", _("member number told")
        PIN_RESET_PREPARED = "pin_reset_prepared", _("PIN re-set prepared")
        CLOSURE_ASKED = "closure_asked", _("closure asked for")
        CLOSURE_CHECKED = "closure_checked", _("closure checked")
        CLOSURE_WITHDRAWN = "closure_withdrawn", _("closure withdrawn")
        MEMBERSHIP_CLOSED = "membership_closed", _("membership closed")
        CARD_VERIFIED = "card_verified", _("card verified at the ATM")
        CARD_REFUSED = "card_refused", _("card refused at the ATM")
        API_KEY_MADE = "api_key_made", _("API key made")
        API_KEY_REVOKED = "api_key_revoked", _("API key revoked")
        SECOND_FACTOR_ENROLLED = "second_factor_enrolled", _("second factor enrolled")
        SECOND_FACTOR_FAILED = "second_factor_failed", _("second factor failed")
        SECOND_FACTOR_RESET = "second_factor_reset", _("second factor re-set")
        PASSWORD_RIGHT = "password_right", _("password right, second factor asked for")
        RECOVERY_CODES_MADE = "recovery_codes_made", _("recovery codes made")
        STAFF_CHANGED = "staff_changed", _("member of staff changed")
        RECORD_EXPORTED = "record_exported", _("record exported")
        ALARM_RAISED = "alarm_raised", _("alarm: failures all over the site")
        KEYS_ROTATED = "keys_rotated", _("PIN keys rotated")
        BACKUP_RESTORED = "backup_restored", _("backup restored")

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
            models.Index(fields=["at"], name="event_at"),
            models.Index(fields=["whom", "at"], name="event_whom"),
            models.Index(fields=["by", "at"], name="event_by"),
            models.Index(fields=["act", "at"], name="event_act"),
        ]

    def __str__(self) -> str:
        return f"{self.at:%Y-%m-%d %H:%M} {self.act} {self.whom}"


class Seal(models.Model):
    """The place of one event in the chain, and the digest over it and all before it.

    A table of its own, written by the worker (credentials.record.sealing), so that no act waits
    for the chain. Append-only like the events.
    """

    position = models.BigIntegerField(primary_key=True)
    # No foreign key: where somebody deletes the event, the seal must stay and tell.
    event_id = models.BigIntegerField(unique=True)
    digest = models.CharField(max_length=64)
    sealed_at = models.DateTimeField(db_default=Now())

    class Meta:
        verbose_name = _("seal")
        verbose_name_plural = _("seals")
        default_permissions = ()

    def __str__(self) -> str:
        return f"seal {self.position} of event {self.event_id}"
