"""Web-ID registration: ask → a code is mailed → it comes back → choose Web-ID and password.

It starts from the member number and the registered address, and knowing both is not enough: what
was mailed to that address must come back (domain.md, rule 2), in the browser that asked. Whoever
asks gets the same answer in the same time, because a request only notes what was asked; whether
it matches a member is looked up by the worker, when it writes the mail.
"""

from __future__ import annotations

from datetime import timedelta

from django.conf import settings
from django.contrib.auth.hashers import UNUSABLE_PASSWORD_PREFIX, make_password
from django.contrib.sessions.backends.base import SessionBase
from django.db import IntegrityError, transaction
from django.db.models import F, Q
from django.db.models.functions import Now
from django.utils.translation import gettext as _

from credentials import audit, codes, mail, throttling
from credentials.attempts import not_suspended
from credentials.models import Event, OutboxMail, RegistrationRequest
from credentials.refusals import BUSY, REFUSED, Refusal, Why
from members.hashing import NoSlot, slots
from members.models import User, WebID
from members.numbers import plain_email

CODE_LENGTH = 6
# Wrong codes, and mails, are counted for so long, however often a new code is asked for.
COUNTED_FOR = timedelta(hours=1)
MAILS_AT_MOST = 5
_IN_SESSION = "registration"
MAIL_KIND = "registration"


def ask(
    *, member_number: str, email: str, session: SessionBase, source: str, language: str
) -> Refusal | None:
    """Note that somebody wants to register, and have the worker mail a code if it matches.

    Asking again replaces the code, for the browser that asked last, and resets no count.
    """
    admission = throttling.admit("registration", address=source)
    if isinstance(admission, Refusal):
        return admission
    email = plain_email(email)
    subject = codes.digest("registration", member_number, email)
    binding = codes.random_binding()
    bound = codes.digest("binding", binding)
    with transaction.atomic():
        [request] = RegistrationRequest.objects.bulk_create(
            [
                RegistrationRequest(
                    subject=subject,
                    member_number=member_number,
                    email=email,
                    language=language,
                    binding=bound,
                    asked_at=Now(),
                )
            ],
            update_conflicts=True,
            unique_fields=["subject"],
            update_fields=[
                "language",
                "asked_at",
                "binding",
                "code_digest",
                "epoch",
                "sent_at",
                "confirmed_at",
                "used_at",
            ],
        )
        mail.queue(MAIL_KIND, request=request.pk, asked=bound)
        session[_IN_SESSION] = {
            "request": request.pk,
            "binding": binding,
            "asked": {"member_number": member_number, "email": email},
        }
        session.cycle_key()
    return None


def asked(session: SessionBase) -> dict[str, str] | None:
    """Return what this browser asked with (member_number, email); None if it did not."""
    details: dict[str, str] | None = session.get(_IN_SESSION, {}).get("asked")
    return details


def compose(queued: OutboxMail) -> mail.Letter | None:
    """Write the mail that a request leads to, if any, and make its code. The worker calls this.

    The code is new with every try, and its life begins now: an hour's outage of the mail server
    lets no code expire on the way.
    """
    # Asked anew since: the later mail is the one to answer.
    request = RegistrationRequest.objects.filter(
        pk=queued.context["request"], binding=queued.context["asked"], confirmed_at__isnull=True
    ).first()
    if request is None:
        return None
    user = (
        User.objects.select_related("member__web_id")
        .filter(member__number=request.member_number, is_active=True)
        .first()
    )
    if user is None or user.member is None or plain_email(user.member.email) != request.email:
        return None
    if queued.tries == 1 and not _may_mail(request):
        return None
    letter = mail.Letter(user.member.email, request.language, "", {"name": user.member.name})
    if hasattr(user.member, "web_id") and not user.web_id_is_stopped:
        return _letter(letter, "registration_has_web_id")
    if not User.objects.filter(not_suspended(), pk=user.pk).exists():
        return _letter(letter, "registration_suspended")
    code = codes.random_digits(CODE_LENGTH)
    with transaction.atomic():
        RegistrationRequest.objects.filter(pk=request.pk, binding=request.binding).update(
            code_digest=_digest(request, code), epoch=user.epoch, sent_at=Now()
        )
        audit.record(Event.Act.CODE_SENT, by=audit.SYSTEM, whom=user.member.number)
    return _letter(
        letter, "registration_code", code=code, minutes=max(settings.CODE_SECONDS // 60, 1)
    )


def _letter(letter: mail.Letter, template: str, **context: object) -> mail.Letter:
    return mail.Letter(letter.to, letter.language, template, {**letter.context, **context})


def _digest(request: RegistrationRequest, code: str) -> str:
    return codes.digest("registration code", request.subject, request.binding, code)


def _may_mail(request: RegistrationRequest) -> bool:
    """Count a mail to this address; False where it had its share of this hour."""
    this = RegistrationRequest.objects.filter(pk=request.pk)
    this.filter(mails_since__lt=Now() - COUNTED_FOR).update(mails=0, mails_since=Now())
    return bool(this.filter(mails__lt=MAILS_AT_MOST).update(mails=F("mails") + 1))


def confirm(*, code: str, session: SessionBase, source: str) -> Refusal | None:
    """Take a code back. Right only once, in the browser that asked, within its life.

    Every try is counted before it is judged, for this member number and address together,
    whether there is such a member or not; and against its source, as a failed sign-in is.
    """
    request = _of_session(session)
    subject = request.subject if request else ""
    admission = throttling.admit("code", address=source, account=subject)
    if isinstance(admission, Refusal):
        return admission
    right = (
        request and _counted(request) and codes.same(request.code_digest, _digest(request, code))
    )
    with transaction.atomic():
        won = request and right and _confirm(request)
        audit.record(
            Event.Act.CODE_CONFIRMED if won else Event.Act.CODE_FAILED,
            by=audit.VISITOR,
            # A code was mailed, so it is a member's.
            whom=request.member_number if request and request.epoch is not None else "",
            source=source,
        )
    if not won:
        return REFUSED
    admission.forgive()
    return None


def _counted(request: RegistrationRequest) -> bool:
    """Count a code that came back; False where as many came as may be judged."""
    this = RegistrationRequest.objects.filter(pk=request.pk)
    this.filter(attempts_since__lt=Now() - COUNTED_FOR).update(attempts=0, attempts_since=Now())
    may = this.filter(attempts__lt=settings.CODE_ATTEMPTS)
    return bool(may.update(attempts=F("attempts") + 1))


def _confirm(request: RegistrationRequest) -> bool:
    """Use the code up; False where it is too old, was used, or another one was mailed since."""
    live = RegistrationRequest.objects.filter(
        pk=request.pk,
        code_digest=request.code_digest,
        confirmed_at__isnull=True,
        sent_at__gt=Now() - timedelta(seconds=settings.CODE_SECONDS),
    )
    return bool(live.update(confirmed_at=Now()))


def _of_session(session: SessionBase) -> RegistrationRequest | None:
    """Return the request that this very browser made, if nobody has asked anew since."""
    kept = session.get(_IN_SESSION, {})
    if "request" not in kept:
        return None
    request = RegistrationRequest.objects.filter(pk=kept["request"]).first()
    if request is None or not codes.same(request.binding, codes.digest("binding", kept["binding"])):
        return None
    return request


def _confirmed() -> Q:
    """Return the condition that a code came back, lately, and was not used yet."""
    lately = Now() - timedelta(seconds=settings.CODE_SECONDS)
    return Q(confirmed_at__gt=lately, used_at__isnull=True)


def registrant(session: SessionBase) -> User | None:
    """Return the user who may choose a Web-ID in this browser now.

    Checks again all that the earlier steps proved: this browser, the code, its time, and that
    nothing about the member has changed since.
    """
    request = _of_session(session)
    if request is None or request.epoch is None:
        return None
    if not RegistrationRequest.objects.filter(_confirmed(), pk=request.pk).exists():
        return None
    may = User.objects.filter(
        not_suspended(),
        # None yet, or one whose password was stopped (credentials.sign_ins).
        Q(member__web_id__isnull=True) | Q(password__startswith=UNUSABLE_PASSWORD_PREFIX),
        is_active=True,
        epoch=request.epoch,
        member__number=request.member_number,
    )
    return may.select_related("member__card").first()


def register(*, web_id: str, password: str, session: SessionBase, source: str) -> Refusal | None:
    """Give the member the Web-ID and password they chose; sign in comes after.

    TAKEN where somebody has this Web-ID, in whatever case; REFUSED where the steps before do
    not hold (any more).
    """
    user, request = registrant(session), _of_session(session)
    if user is None or user.member is None or request is None:
        return REFUSED
    try:
        with slots.take() as hashing:
            encoded = hashing(make_password, password)
    except NoSlot:
        return BUSY
    try:
        with transaction.atomic():
            # Still this browser's: another one may have asked, and been confirmed, in the meantime.
            this = RegistrationRequest.objects.filter(
                _confirmed(), pk=request.pk, binding=request.binding
            )
            account = User.objects.filter(
                not_suspended(), pk=user.pk, is_active=True, epoch=user.epoch
            )
            if not this.update(used_at=Now()):
                return REFUSED
            chosen = {"password": encoded, "language": request.language}
            if not account.update(epoch=F("epoch") + 1, **chosen):
                return REFUSED
            chosen_name = {"name": web_id, "registered_at": Now()}
            WebID.objects.update_or_create(member=user.member, defaults=chosen_name)
            audit.record(
                Event.Act.WEB_ID_REGISTERED,
                by=audit.MEMBER,
                whom=user.member.number,
                source=source,
            )
            mail.queue("web_id_registered", user.member)
    except IntegrityError:
        return Refusal(Why.TAKEN, reason=_("Somebody else has this Web-ID. Choose another one."))
    session[_IN_SESSION] = {"registered": web_id}
    return None


def registered(session: SessionBase) -> str | None:
    """Return the Web-ID that this browser has just registered."""
    name: str | None = session.get(_IN_SESSION, {}).get("registered")
    return name


def forget_old_requests() -> None:
    """Delete the requests that nothing can come of any more, a day after they were made."""
    RegistrationRequest.objects.filter(asked_at__lt=Now() - timedelta(days=1)).delete()
