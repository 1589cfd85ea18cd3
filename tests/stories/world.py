"""The real portal beside the model: two members, three browsers, the staff, the card host.

Rules are in the modules beside this one. Each says what it expects on record; what must hold
after every step, whatever it was, is here.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from random import Random
from typing import Any, ClassVar

from django.conf import settings
from django.core import mail as django_mail
from django.db import transaction
from django.db.models import Case, Count, F, OuterRef, QuerySet, Subquery, Value, When
from django.db.models.functions import Coalesce
from hypothesis import note
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from credentials.attempts import not_suspended
from credentials.models import ApiKey, Event, OutboxMail, PinReset, RegistrationRequest
from credentials.sessions import rows
from credentials.throttling import counters
from members import pins
from members.models import Card, Member, User, WebID
from tests.clock import time_passes
from tests.conftest import Browser
from tests.factories import MemberFactory
from tests.pages import is_signed_in
from tests.stories.leaks import Logs, leaked
from tests.stories.model import LIFETIME, LIMIT, Account
from tests.stories.paused import Paused, PausingSlots

Act = Event.Act
PINS = ["2580", "8264", "9163", "7492", "6138", "9527", "8352", "9641", "7316", "6284"]
PASSWORDS = {"member": "plum blossoms in february", "attacker": "a crow above the harbour"}
BROWSERS = ["member", "attacker", "accomplice"]
EITHER = [False, True]
# What every act that changes something tells the member.
NOTICES = {
    Act.SUSPENDED: "suspended",
    Act.REINSTATED: "reinstated",
    Act.PIN_RESET_STARTED: "pin_reset_started",
    Act.PIN_SET: "pin_set",
    Act.WEB_ID_REGISTERED: "web_id_registered",
    Act.MEMBERSHIP_CLOSED: "membership_closed",
}
Move = Callable[..., None]


def move(
    often: int, when: Callable[[Any], Any] = bool, **drawn: list[Any]
) -> Callable[[Move], Move]:
    """Mark what may happen in a story: how often, when it makes sense, with what drawn for it."""

    def marked(function: Move) -> Move:
        function.is_move = often, when, drawn  # type: ignore[attr-defined]
        return function

    return marked


class Tab:
    """A browser: whose session it holds, and for whom it asked to register."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.client = Browser(f"198.51.100.{BROWSERS.index(name) + 1}")
        self.asked: Account | None = None
        # It asked, but with what fits nobody.
        self.asked_in_vain = False
        # Who is signed in, by which session, and how often theirs had ended before.
        self.holder: Account | None = None
        self.held, self.end = "", 0

    def __repr__(self) -> str:
        return self.name

    @property
    def key(self) -> str:
        """The session's key, as the cookie has it."""
        cookie = self.client.cookies.get(settings.SESSION_COOKIE_NAME)
        return cookie.value if cookie else ""


class World(RuleBasedStateMachine):
    """Two members, three browsers, staff, and the acts that are under way."""

    # Set by the test: they cost time to make, and nothing happens to them.
    store: ClassVar[User]
    phone: ClassVar[User]
    key: ClassVar[ApiKey]
    slots: ClassVar[PausingSlots]

    def __init__(self) -> None:
        super().__init__()
        # Rolled back in the end: no story knows of another.
        self._story = transaction.atomic()
        self._story.__enter__()
        self.now = 0.0
        members = [MemberFactory(number=number, pin="") for number in ("100000007", "100000015")]
        numbers = [member.card.number for member in members]
        # None that stands in a number: nobody may choose it, and it would seem to leak.
        self.pins = [pin for pin in PINS if pin not in f"{numbers}"][:6]
        self.accounts = [self._account(member) for member in members]
        self.tabs = [Tab(name) for name in BROWSERS]
        # By who does it: the act, and what to expect of its end.
        self.under_way: dict[str, tuple[Paused, Callable[[Any], None], Account | None]] = {}
        # Keys of sessions that must not open anything again.
        self.over: list[str] = []
        self.expected: list[Act] = []
        self.secrets = {self.pins[0]}
        self._events, self._mails = _last(Event), _last(OutboxMail)
        self._logs = Logs()
        logging.getLogger().addHandler(self._logs)

    def _account(self, member: Member) -> Account:
        pin, number = self.pins[0], member.card.number
        sealed = pins.seal(pin, card_number=number)
        Card.objects.filter(member=member).update(sealed_pin=sealed, pin_origin=Card.Origin.FEED)
        return Account(member, pin)

    def teardown(self) -> None:
        for paused, _end, _account in self.under_way.values():
            paused.kill()
        logging.getLogger().removeHandler(self._logs)
        counters().reset()
        django_mail.outbox.clear()
        transaction.set_rollback(True)
        self._story.__exit__(None, None, None)

    @initialize(story=st.integers(0, 2**64))
    def begin_the_story(self, story: int) -> None:
        """One of two stories begins with a Web-ID."""
        self.story, self.turn = story, 0
        if Random(story).random() < 0.5:
            account = self.accounts[0]
            account.web_id, account.password = "Sakura2024", PASSWORDS["member"]
            WebID.objects.create(member=account.member, name=account.web_id)
            user = account.member.user
            user.set_password(account.password)
            user.save()

    @rule(seed=st.integers(0, 2**32))
    def something_happens(self, seed: int) -> None:
        """One of the moves; the numbers say which, and with what.

        Neither are the moves rules, nor what they take strategies: Hypothesis leaves most rules
        out of a run, and repeats itself, on purpose; but what goes wrong here takes several
        different moves in a row.
        """
        self.turn += 1
        self.dice = Random(f"{self.story} {self.turn} {seed}")
        moves = [getattr(self, name) for name in sorted(dir(type(self)))]
        moves = [one for one in moves if hasattr(one, "is_move") and one.is_move[1](self)]
        chosen = self.dice.choices(moves, [one.is_move[0] for one in moves])[0]
        drawn = {name: self.dice.choice(these) for name, these in chosen.is_move[2].items()}
        note(f"{chosen.__name__} {drawn}")
        chosen(**drawn)

    # --- What moves are made of ---

    def draw_tab(self) -> Tab:
        """Return a browser that waits for nothing."""
        return self.dice.choice(self.free)

    def draw_account(self) -> Account:
        """Return one of the two: rather the one with an act under way, or the first."""
        at = [self.accounts.index(one) for _paused, _end, one in self.under_way.values() if one]
        return self.accounts[self.dice.choice([0, *at * 5, 0, 0, 1])]

    @property
    def free(self) -> list[Tab]:
        """The browsers that wait for nothing."""
        return [tab for tab in self.tabs if tab.name not in self.under_way]

    def typed(self, *secrets: str) -> None:
        """Take note of secrets that were typed: they may stand nowhere."""
        self.secrets |= {secret for secret in secrets if secret}

    def begin(self, act: Callable[[], Any], *, judged: bool) -> Paused:
        """Begin an act; it stops where it hashes, for somebody where it is to be `judged`."""
        paused = Paused(act)
        assert paused.judges == judged, "judged" if paused.judges else "not judged"
        return paused

    def leave(
        self,
        who: str,
        paused: Paused,
        end: Callable[[Any], None],
        *,
        at_once: bool,
        account: Account | None,
    ) -> None:
        """Have the act end now, or some steps later; `end` says what to make of its answer."""
        if paused.is_over or at_once:
            end(paused.go_on())
        else:
            self.under_way[who] = paused, end, account

    def go_on(self, who: str) -> None:
        """Have somebody's act end now."""
        paused, end, _account = self.under_way.pop(who)
        end(paused.go_on())

    def end_sessions(self, account: Account) -> None:
        """Do what every act does after which no open session may go on."""
        User.objects.filter(member=account.member).update(epoch=F("epoch") + 1)
        account.end += 1

    def opened(self, tab: Tab, account: Account) -> None:
        """Take note that a session was opened in this browser."""
        self.left(tab)
        tab.holder, tab.held, tab.end = account, tab.key, account.end

    def left(self, tab: Tab, *, with_all: bool = True) -> None:
        """Take note that this browser's session is over, with all that was in it."""
        if tab.holder:
            self.over.append(tab.held)
        tab.holder = None
        if with_all:
            self.forget(tab)

    def forget(self, tab: Tab) -> None:
        """Take note that this browser no longer knows what it asked for."""
        if tab.asked and tab.asked.asked.browser == tab.name:
            tab.asked.asked.browser = ""
        tab.asked, tab.asked_in_vain = None, False

    def _look(self) -> None:
        """Take note of the sessions that have ended, or go on under another key."""
        for tab in self.tabs:
            if not tab.holder:
                continue
            if tab.holder.end != tab.end:
                # Of a closed account nobody comes back, and the session is nobody's; of another
                # one it is thrown away.
                self.left(tab, with_all=not tab.holder.closed)
            elif tab.key != tab.held:
                self.over.append(tab.held)
                tab.held = tab.key

    # --- What happens to everybody ---

    @move(4, when=lambda self: self.under_way)
    def the_act_goes_on(self) -> None:
        self.go_on(self.dice.choice(sorted(self.under_way)))

    @move(1, when=lambda self: self.under_way)
    def the_process_is_killed(self) -> None:
        paused, _end, _account = self.under_way.pop(self.dice.choice(sorted(self.under_way)))
        paused.kill()

    @move(2, seconds=[61, 61, 61, 601, 960, 25 * 3600])
    def time_passes(self, seconds: int) -> None:
        time_passes(seconds=seconds)
        self.now += seconds
        if seconds > settings.SESSION_IDLE_SECONDS:
            for tab in self.tabs:
                self.left(tab)

    # --- What holds after every step ---

    @invariant()
    def every_act_is_one_line_and_no_secret_is_in_it(self) -> None:
        events = list(Event.objects.filter(pk__gt=self._events).order_by("pk"))
        mails = list(OutboxMail.objects.filter(pk__gt=self._mails).order_by("pk"))
        assert sorted(event.act for event in events) == sorted(self.expected)
        for act, kind in NOTICES.items():
            told = [mail for mail in mails if mail.kind == kind]
            assert len(told) == self.expected.count(act), f"{act}: {len(told)} mails"
        kept = [f"{event.by} {event.whom} {event.details}" for event in events]
        kept += [f"{mail.context} {mail.last_error}" for mail in mails] + self._logs.lines
        for text in kept:
            assert not leaked(text, self.secrets), text
        self._events = events[-1].pk if events else self._events
        self._mails = mails[-1].pk if mails else self._mails
        self.expected.clear()
        self._logs.lines.clear()

    @invariant()
    def sessions_are_open_as_long_as_they_should_be(self) -> None:
        self._look()
        for tab in self.tabs:
            if tab.key:
                # With the cookie alone, as a thief would.
                thief = Browser()
                thief.cookies[settings.SESSION_COOKIE_NAME] = tab.key
                assert is_signed_in(thief) == (tab.holder is not None), tab.name
        for key in self.over:
            thief = Browser()
            thief.cookies[settings.SESSION_COOKIE_NAME] = key
            assert not is_signed_in(thief), "a session that was over"
        # A row that is gone does not come back.
        self.over = [key for key in self.over if rows(key).exists()]

    @invariant()
    def the_database_says_what_the_rules_say(self) -> None:
        users = User.objects.filter(member__in=[one.member for one in self.accounts])
        for account, user in zip(self.accounts, _with_all(users), strict=True):
            assert user.is_active != account.closed
            assert user.attempts_cleared <= user.attempts
            assert user.failures == len(account.judged) <= LIMIT
            assert len(account.failures) <= LIFETIME
            assert user.is_in_force == account.is_suspended(self.now)
            assert user.codes <= 1, "two live codes"
            assert user.tickets == (account.ticket is not None), "two live tickets"
            assert (user.web_id or "") == account.web_id
        names = [one.web_id.casefold() for one in self.accounts if one.web_id]
        assert len(set(names)) == len(names), "one Web-ID twice"


def _with_all(users: QuerySet[User]) -> QuerySet[User]:
    """Return these users with what their members have under way, in one statement."""
    requests = RegistrationRequest.objects.filter(member_number=OuterRef("member__number"))
    resets = PinReset.objects.filter(card__member=OuterRef("member"), ended_at__isnull=True)
    return users.order_by("pk").annotate(
        is_in_force=Case(When(not_suspended(), then=False), default=True),
        codes=_how_many(requests.exclude(code_digest="")),
        tickets=_how_many(resets),
        web_id=F("member__web_id__name"),
    )


def _how_many(rows: Any) -> Coalesce:
    counted = rows.order_by().annotate(one=Value(1)).values("one").annotate(n=Count("*"))
    return Coalesce(Subquery(counted.values("n")), 0)


def _last(model: Any) -> int:
    """Return the newest row's key."""
    return model.objects.order_by("-pk").values_list("pk", flat=True).first() or 0
