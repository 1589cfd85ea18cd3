"""Signing in by every way, at the ATM too; suspension, and who lifts it; closure."""

from __future__ import annotations

from functools import partial
from itertools import count
from math import inf
from typing import Any

from credentials import card_verification, closure, suspension
from credentials.card_verification import Code
from tests.pages import user_of, verify
from tests.stories.model import Account, Attempt
from tests.stories.world import EITHER, PASSWORDS, Act, Tab, World, move

SECRETS = ["right", "right", "old", "wrong", "wrong"]
SELDOM = [False] * 3 + [True]
NAMES = ["Sakura2024", "SAKURA2024", "sakura２０２４", "Tsubaki77"]


def plain(name: str) -> str:
    """Return a Web-ID as all its ways to write it have it in common."""
    return name.replace("２０２４", "2024").casefold()


class SigningIn(World):
    """What comes in, and what keeps it out."""

    traces = count(1)

    def _pin(self, account: Account, which: str) -> str:
        match which:
            case "right":
                return account.pin or self.pins[0]
            case "old" if account.old_pins:
                return account.old_pins[-1]
            case _:
                return self.pins[-1]

    @move(4, when=lambda self: self.free, which=SECRETS, at_once=EITHER)
    def sign_in_with_the_card(self, which: str, at_once: bool) -> None:
        tab, account = self.draw_tab(), self.draw_account()
        pin = self._pin(account, which)
        self.typed(pin)
        fields = {"card_number": account.member.card.number, "pin": pin}
        self._sign_in(tab, "/login/", fields, account, right=pin == account.pin, at_once=at_once)

    @move(5, when=lambda self: self.free, name=NAMES, at_once=EITHER)
    def sign_in_with_a_web_id(self, name: str, at_once: bool) -> None:
        tab = self.draw_tab()
        password = self.dice.choice([*PASSWORDS.values(), "nobody's own words"])
        self.typed(password)
        found = [one for one in self.accounts if one.web_id and plain(one.web_id) == plain(name)]
        account = found[0] if found else None
        right = account is not None and password == account.password
        fields = {"web_id": name, "password": password}
        self._sign_in(tab, "/login/web-id/", fields, account, right=right, at_once=at_once)

    @move(7, when=lambda self: self.free)
    def guess_the_pin(self) -> None:
        tab, account = self.draw_tab(), self.draw_account()
        fields = {"card_number": account.member.card.number, "pin": self.pins[-1]}
        self._sign_in(tab, "/login/", fields, account, right=False, at_once=True)

    @move(5, when=lambda self: self.tabs[0] in self.free, at_once=EITHER)
    def the_member_signs_in(self, at_once: bool) -> None:
        account = self.accounts[0]
        if account.web_id and not account.pin:
            fields = {"web_id": account.web_id, "password": account.password or "closed"}
            right = bool(account.password)
            path = "/login/web-id/"
            self._sign_in(self.tabs[0], path, fields, account, right=right, at_once=at_once)
            return
        pin = self._pin(account, "right")
        fields = {"card_number": account.member.card.number, "pin": pin}
        right = pin == account.pin
        self._sign_in(self.tabs[0], "/login/", fields, account, right=right, at_once=at_once)

    def _sign_in(
        self,
        tab: Tab,
        path: str,
        fields: dict[str, str],
        account: Account | None,
        *,
        right: bool,
        at_once: bool,
    ) -> None:
        attempt = account.begin(right=right, now=self.now) if account else None
        act = partial(tab.client.post, path, fields)
        paused = self.begin(act, judged=attempt is not None)

        def end(answer: Any) -> None:
            if account and account.opens(attempt, self.now):
                assert answer.status_code == 302, "the right secret did not open"
                self.opened(tab, account)
                self.expected.append(Act.SIGNED_IN)
            else:
                assert answer.status_code == 200, "it opened"
                self._failed(Act.SIGN_IN_FAILED, account, attempt)

        self.leave(tab.name, paused, end, at_once=at_once, account=account)

    def _failed(self, act: Act, account: Account | None, attempt: Attempt | None) -> bool:
        suspended = account is not None and account.fails(attempt, self.now)
        self.expected += [act, Act.SUSPENDED] if suspended else [act]
        return suspended

    @move(1, when=lambda self: self.free)
    def sign_in_where_no_slot_is_free(self) -> None:
        tab, account = self.draw_tab(), self.draw_account()
        fields = {"card_number": account.member.card.number, "pin": self.pins[-1]}
        self.slots.full = True
        try:
            assert tab.client.post("/login/", fields).status_code == 503
        finally:
            self.slots.full = False

    @move(3, when=lambda self: "atm" not in self.under_way, which=SECRETS, at_once=EITHER)
    def type_the_pin_at_the_atm(self, which: str, at_once: bool) -> None:
        account = self.draw_account()
        pin = self._pin(account, which)
        self.typed(pin)
        attempt = account.begin(right=pin == account.pin, now=self.now)
        paused = self.begin(
            partial(
                card_verification.verify,
                by=self.key,
                card_number=account.member.card.number,
                pin=pin,
                terminal="ATM-1",
                trace=f"{next(self.traces):012}",
                source="192.0.2.9",
            ),
            judged=attempt is not None,
        )

        def end(answer: Any) -> None:
            if account.opens(attempt, self.now):
                assert answer is Code.APPROVED
                self.expected.append(Act.CARD_VERIFIED)
                return
            suspended = self._failed(Act.CARD_REFUSED, account, attempt)
            if attempt and not attempt.right:
                assert answer is (Code.TRIES_EXCEEDED if suspended else Code.WRONG_PIN)
            else:
                assert answer in {Code.RESTRICTED, Code.TRIES_EXCEEDED, Code.UNAVAILABLE}

        self.leave("atm", paused, end, at_once=at_once, account=account)

    @move(1, when=lambda self: self.free)
    def sign_out(self) -> None:
        tab = self.draw_tab()
        assert tab.client.post("/logout/").status_code == 302
        if tab.holder:
            self.expected.append(Act.SIGNED_OUT)
            self.left(tab)

    @move(
        5,
        when=lambda self: any(one.is_suspended(self.now) for one in self.accounts),
        in_person=[False, False, True],
    )
    def staff_lift_the_suspension(self, in_person: bool) -> None:
        account = self.draw_account()
        staff = self.store if in_person else self.phone
        verify(account.member, staff)
        self.expected.append(Act.IDENTITY_VERIFIED)
        may = account.may_be_lifted(in_person=in_person, now=self.now)
        refusal = suspension.reinstate(user_of(account.member), by=staff, reason="Asked for it")
        assert may == (refusal is None)
        if may:
            account.lifted(in_person=in_person)
            self.expected.append(Act.REINSTATED)
        elif account.suspended_until == inf and not in_person:
            self.expected.append(Act.ACCESS_REFUSED)

    @move(3, when=lambda self: any(one.is_suspended(self.now) for one in self.accounts))
    def the_suspension_passes(self) -> None:
        self.time_passes(25 * 3600)

    @move(2)
    def an_act_ends_all_sessions(self) -> None:
        self.end_sessions(self.draw_account())

    @move(1, when=lambda self: not all(account.closed for account in self.accounts), sure=SELDOM)
    def the_membership_is_closed(self, sure: bool) -> None:
        account = self.draw_account()
        if account.closed or not sure:
            # Nothing happens to it any more, so not too soon.
            return
        member = account.member
        verify(member, self.phone)
        assert closure.ask_for(member=member, by=self.phone, certificate=False) is None
        self.expected += [Act.IDENTITY_VERIFIED, Act.CLOSURE_ASKED]
        under_way = closure.open_closure(member)
        assert under_way
        refusal = closure.check(
            closure=under_way, by=self.phone, no_balance=True, nothing_open=True
        )
        if account.at_the_terminal(self.now):
            assert refusal, "closed while the member stands at the terminal"
            assert closure.withdraw_for(member=member, by=self.phone) is None
            self.expected.append(Act.CLOSURE_WITHDRAWN)
            return
        assert refusal is None
        assert closure.approve(closure=under_way, by=self.phone)
        assert closure.approve(closure=under_way, by=self.store) is None
        self.expected += [Act.CLOSURE_CHECKED, Act.MEMBERSHIP_CLOSED]
        account.close()
