"""Who there is: the holder of a session, the member, the card, the Web-ID.

Nothing here decides anything. The acts that change these rows are in `credentials`; the feed
that brings them in is in `members.feed`.
"""

from __future__ import annotations

from typing import Any, ClassVar

from django.contrib.auth.models import AbstractBaseUser, BaseUserManager, PermissionsMixin
from django.db import models
from django.db.models import F, Q
from django.db.models.functions import Lower, Now, Right
from django.utils.crypto import salted_hmac
from django.utils.translation import gettext_lazy as _

from members.fields import BytewiseField, levelled
from members.masking import masked_number
from members.numbers import (
    EMAIL_LENGTH,
    MEMBER_NUMBER_LENGTH,
    grouped,
    validate_card_number,
    validate_member_number,
)

# So that `name__lower=` finds a Web-ID through its index, whatever the case.
models.CharField.register_lookup(Lower)


class Way(models.TextChoices):
    """The ways in. A member has the first two, staff the third; the last is the card host's."""

    CARD = "card", _("Card number and PIN")
    WEB_ID = "web_id", _("Web-ID and password")
    STAFF = "staff", _("Staff sign-in")
    ATM = "atm", _("Card and PIN at the ATM")


class UserManager(BaseUserManager["User"]):
    """Makes members of staff; a member's user comes in with the feed."""

    def create_staff(self, username: str, password: str | None = None, **fields: Any) -> User:
        """Save and return a member of staff; `password=None` leaves the account closed."""
        user = self.model(username=username, is_staff=True, **fields)
        user.set_password(password)
        user.save(using=self._db)
        return user

    def create_superuser(self, username: str, password: str | None = None, **fields: Any) -> User:
        """What `manage.py createsuperuser` calls."""
        return self.create_staff(username, password, is_superuser=True, **fields)


class User(AbstractBaseUser, PermissionsMixin):
    """Whoever may hold a session: a member or a member of staff, never both.

    Carries what every way in shares: the count of failures, the suspension, the epoch.

    The count is two numbers that only grow. `attempts` is how many sign-ins were ever begun,
    `attempts_cleared` the last of them that a success, a suspension or a lifting has settled;
    the difference is the number of consecutive failures. So a success clears the attempts up to
    its own and none that was begun after it, in whatever order parallel attempts end.
    """

    username = models.CharField(
        _("staff name"),
        max_length=150,
        unique=True,
        null=True,
        blank=True,
    )
    member = models.OneToOneField(
        "Member", models.PROTECT, null=True, blank=True, related_name="user"
    )
    is_staff = models.BooleanField(_("may enter the admin"), default=False)
    is_active = models.BooleanField(
        _("active"), default=True, help_text=_("Off: closed. No way in opens again.")
    )
    language = models.CharField(_("language of mails"), max_length=8, default="ja")
    epoch = models.PositiveIntegerField(
        default=0, help_text=_("Grows with every act that must end the open sessions.")
    )
    device_epoch = models.PositiveIntegerField(
        default=0, help_text=_("Grows with every act after which no device counts as known.")
    )

    attempts = models.PositiveIntegerField(default=0)
    attempts_cleared = models.PositiveIntegerField(default=0)
    last_attempt_at = models.DateTimeField(null=True, blank=True)
    password_is_temporary = models.BooleanField(
        _("password to be replaced"),
        default=False,
        db_default=False,
        help_text=_("An administrator set it: it opens the page for choosing one's own, no other."),
    )
    suspensions = models.PositiveSmallIntegerField(
        _("suspensions in a row"), default=0, help_text=_("With no sign-in between.")
    )
    suspended_at = models.DateTimeField(_("suspended at"), null=True, blank=True)
    suspended_until = models.DateTimeField(
        _("suspended until"),
        null=True,
        blank=True,
        help_text=_("Empty while suspended: until staff lift it in person or the PIN is re-set."),
    )

    last_login = None
    sign_in_at = models.DateTimeField(_("last sign-in"), null=True, blank=True)
    sign_in_way = models.CharField(max_length=8, choices=Way.choices, blank=True)
    previous_sign_in_at = models.DateTimeField(null=True, blank=True)
    previous_sign_in_way = models.CharField(max_length=8, choices=Way.choices, blank=True)

    objects: ClassVar[UserManager] = UserManager()
    USERNAME_FIELD = "username"
    REQUIRED_FIELDS: ClassVar[list[str]] = []

    class Meta:
        verbose_name = _("user")
        verbose_name_plural = _("users")
        constraints = [
            models.CheckConstraint(
                name="user_is_member_or_staff_never_both",
                condition=Q(member__isnull=True, username__isnull=False)
                | Q(
                    member__isnull=False,
                    username__isnull=True,
                    is_staff=False,
                    is_superuser=False,
                ),
            ),
            models.CheckConstraint(
                name="user_cleared_attempts_were_made",
                condition=Q(attempts_cleared__lte=F("attempts")),
            ),
            models.CheckConstraint(
                name="user_suspended_until_needs_suspended_at",
                condition=Q(suspended_until__isnull=True) | Q(suspended_at__isnull=False),
            ),
        ]
        indexes = [
            # The worklist of suspensions. No index on what an attempt changes: so counting one
            # touches no index, and takes no longer than to count on a decoy.
            models.Index(
                fields=["suspended_at"],
                name="user_suspended",
                condition=Q(suspended_at__isnull=False),
            ),
        ]

    def __str__(self) -> str:
        return self.username or f"member {self.member_id}"

    @property
    def web_id_is_stopped(self) -> bool:
        """Whether there is a Web-ID whose password was stopped: it must be registered anew."""
        return hasattr(self.member, "web_id") and not self.has_usable_password()

    @property
    def failures(self) -> int:
        """Consecutive failures to sign in, both ways together."""
        return self.attempts - self.attempts_cleared

    def get_session_auth_hash(self) -> str:
        """What a session must match: changes with the password and with the epoch."""
        secret = f"{self.password}:{self.epoch}"
        return salted_hmac("members.User.session", secret, algorithm="sha256").hexdigest()

    def get_session_auth_fallback_hash(self) -> Any:
        """No fallback: rotating SECRET_KEY ends the sessions."""
        return iter(())


class Member(models.Model):
    """A member, as the lender's core system describes them in the feed."""

    number = models.CharField(
        _("member number"),
        max_length=MEMBER_NUMBER_LENGTH,
        unique=True,
        validators=[validate_member_number],
    )
    name = models.CharField(_("name"), max_length=100)
    name_kana = models.CharField(_("name in kana"), max_length=100)
    # How names are compared (numbers.levelled_kana); the database keeps it.
    kana_key = models.GeneratedField(
        expression=levelled(F("name_kana")),
        output_field=BytewiseField(max_length=100),
        db_persist=True,
    )
    birth_date = models.DateField(_("birth date"))
    email = models.CharField(_("registered email address"), max_length=EMAIL_LENGTH, blank=True)
    phone = models.CharField(_("phone"), max_length=20, blank=True)
    balance = models.PositiveBigIntegerField(
        _("balance (yen)"), null=True, blank=True, help_text=_("Empty: the feed did not say.")
    )
    closed_at = models.DateTimeField(_("closed at"), null=True, blank=True, editable=False)
    created_at = models.DateTimeField(_("came in at"), db_default=Now(), editable=False)

    class Meta:
        verbose_name = _("member")
        verbose_name_plural = _("members")
        indexes = [
            # What staff find a member by (members.search).
            models.Index(fields=["kana_key", "birth_date"], name="member_kana_birth"),
            models.Index(fields=["birth_date", "kana_key"], name="member_birth_date"),
            models.Index(fields=["phone"], name="member_phone"),
            models.Index(Lower("email"), name="member_email_any_case"),
        ]
        permissions = [
            ("suspend_member", "Can suspend a member at their word"),
            ("reinstate_member", "Can lift a suspension"),
            ("reinstate_member_in_person", "Can lift a suspension that only ends in person"),
            ("start_pin_reset", "Can start a PIN re-set in person"),
            ("prepare_pin_reset", "Can prepare a PIN re-set for a contract machine"),
            ("verify_on_phone", "Can verify identity on the phone"),
            ("verify_in_person", "Can verify identity in person"),
            ("tell_member_number", "Can tell a member number after verification"),
            ("close_membership", "Can check and close memberships"),
            ("view_overview", "Can see the overview"),
        ]

    def __str__(self) -> str:
        # Masked: what the admin writes into titles, lists and links by itself gives nothing away.
        return masked_number(self.number)

    @property
    def number_grouped(self) -> str:
        """The nine digits as they are read aloud: three by three."""
        return grouped(self.number, 3)


class Card(models.Model):
    """The member's card: its number, and its PIN as `members.pins` sealed it."""

    class Origin(models.TextChoices):
        """Who chose the PIN that is (or was last) on the card."""

        FEED = "feed", _("came with the feed")
        IN_PERSON = "in_person", _("set in person")

    member = models.OneToOneField(Member, models.PROTECT, related_name="card")
    number = models.CharField(
        _("card number"), max_length=16, unique=True, validators=[validate_card_number]
    )
    sealed_pin = models.TextField(
        blank=True, editable=False, help_text=_("Empty: no PIN until one is set in person.")
    )
    pin_origin = models.CharField(max_length=10, choices=Origin.choices, blank=True)
    pin_set_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        verbose_name = _("card")
        verbose_name_plural = _("cards")
        indexes = [models.Index(Right("number", 4), name="card_last_four")]

    def __str__(self) -> str:
        return f"…{self.last_four}"

    @property
    def last_four(self) -> str:
        """The part of the number that pages, mails and staff may see."""
        return self.number[-4:]

    @property
    def has_pin(self) -> bool:
        """Whether the card can sign in at all."""
        return bool(self.sealed_pin)


class WebID(models.Model):
    """The sign-in name a member registered; its password is the user's `password`."""

    member = models.OneToOneField(Member, models.PROTECT, related_name="web_id")
    name = models.CharField(_("Web-ID"), max_length=32)
    registered_at = models.DateTimeField(_("registered at"), db_default=Now(), editable=False)

    class Meta:
        verbose_name = _("Web-ID")
        verbose_name_plural = _("Web-IDs")
        constraints = [
            # Unique and looked up without regard to case, through this index.
            models.UniqueConstraint(Lower("name"), name="web_id_unique_whatever_the_case"),
        ]

    def __str__(self) -> str:
        return self.name
