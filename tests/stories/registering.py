"""Registering a Web-ID: three browsers, two members, one name that both want."""

from __future__ import annotations

import re
from functools import partial
from typing import Any
from unicodedata import normalize

from django.core import mail as django_mail

from credentials import mail
from credentials.management.commands.worker import COMPOSERS
from tests.stories.leaks import says
from tests.stories.model import Account
from tests.stories.signing_in import NAMES, SELDOM, plain
from tests.stories.world import EITHER, PASSWORDS, Act, Tab, World, move

WRONG_CODE = "000000"
CODE = re.compile(r"^\s*(\d{6})\s*$", re.MULTILINE)


class Registering(World):
    """Ask, have the code mailed, type it, choose; each step by whoever likes."""

    @move(2, when=lambda self: self.free)
    def ask_to_register(self) -> None:
        tab, account = self.draw_tab(), self.draw_account()
        if tab.holder in (None, account):
            self._ask(tab, account)

    def _ask(self, tab: Tab, account: Account) -> None:
        member = account.member
        fields = {"member_number": member.number, "email": member.email.upper()}
        answer = tab.client.post("/web-id/register/", fields)
        assert answer["Location"] == "/web-id/register/code/"
        self._asked(tab, account)

    @move(1, when=lambda self: self.free)
    def ask_with_an_address_that_is_not_registered(self) -> None:
        tab, account = self.draw_tab(), self.draw_account()
        if tab.holder not in (None, account):
            return
        fields = {"member_number": account.member.number, "email": "somebody@example.com"}
        answer = tab.client.post("/web-id/register/", fields)
        assert answer["Location"] == "/web-id/register/code/"
        self.forget(tab)
        tab.asked_in_vain = True

    @move(2, when=lambda self: any(tab.asked for tab in self.free))
    def ask_for_another_code(self) -> None:
        tab = self.dice.choice([tab for tab in self.free if tab.asked])
        assert tab.client.post("/web-id/register/code/", {"resend": "1"}).status_code == 302
        self._asked(tab, tab.asked)

    def _asked(self, tab: Tab, account: Account) -> None:
        self.forget(tab)
        if account.asked.code:
            account.old_codes.append(account.asked.code)
        account.asked.anew(tab.name, self.now)
        tab.asked = account

    @move(3, when=lambda self: any(account.asked.waits for account in self.accounts))
    def the_worker_delivers(self) -> None:
        self._deliver()

    def _deliver(self) -> None:
        before = len(django_mail.outbox)
        known = set(self.secrets)
        mail.send_due(COMPOSERS)
        letters = django_mail.outbox[before:]
        for account in self.accounts:
            mine = [str(one.body) for one in letters if one.to == [account.member.email]]
            coded = [code for body in mine for code in CODE.findall(body)]
            if not account.gets_code(self.now):
                assert not coded, "a code for whom there is none"
                continue
            [code] = coded
            account.asked.code, account.asked.sent = code, self.now
            account.asked.end = account.end
            self.typed(code)
            self.expected.append(Act.CODE_SENT)
        for letter in letters:
            told = f"{letter.subject} {letter.body}"
            assert not [one for one in known if says(told, one)], "a secret in a mail"

    @move(5, when=lambda self: self.free, which=["right", "right", "old", "wrong"])
    def type_a_code(self, which: str) -> None:
        asked = [tab for tab in self.free if tab.asked]
        self._type_a_code(self.dice.choice([*asked * 3, *self.free]), which)

    @move(4, when=lambda self: self.free)
    def come_as_far_as_choosing(self) -> None:
        tab = self.draw_tab()
        account = self.draw_account()
        self._come_as_far_as_choosing(tab, account)

    def _come_as_far_as_choosing(self, tab: Tab, account: Account) -> None:
        if tab.holder in (None, account):
            self._ask(tab, account)
            self._deliver()
            self._type_a_code(tab, "right")

    @move(3, when=lambda self: len(self.free) > 1, late=EITHER)
    def type_the_code_too_late_or_elsewhere(self, late: bool) -> None:
        one, other = self.dice.sample(self.free, 2)
        account = self.draw_account()
        if {one.holder, other.holder} <= {None, account}:
            self._ask(one, account)
            if late:
                self._deliver()
                self.time_passes(601)
            else:
                self._ask(other, account)
                self._deliver()
            self._type_a_code(one, "right")

    @move(3, when=lambda self: len(self.free) > 1, ended=EITHER)
    def choose_while_another_does_the_same(self, ended: bool) -> None:
        one, other = self.dice.sample(self.free, 2)
        account = self.draw_account()
        self._come_as_far_as_choosing(one, account)
        self._choose(one, self.dice.choice(NAMES), at_once=False)
        if ended:
            self.end_sessions(account)
        else:
            self._come_as_far_as_choosing(other, account)
        if one.name in self.under_way:
            self.go_on(one.name)

    def _type_a_code(self, tab: Tab, which: str) -> None:
        account = tab.asked or self.draw_account()
        code = WRONG_CODE
        if which == "right":
            code = account.asked.code or code
        elif which == "old" and account.old_codes:
            code = account.old_codes[-1]
        answer = tab.client.post("/web-id/register/code/", {"code": code})
        if tab.asked is None and not tab.asked_in_vain:
            assert answer["Location"] == "/web-id/register/"
        elif tab.asked and tab.asked.takes_code(tab.name, code, self.now):
            self.expected.append(Act.CODE_CONFIRMED)
            # And on to the next page, where nothing has changed since the code was mailed.
            assert answer["Location"] == "/web-id/register/choose/"
        else:
            self.expected.append(Act.CODE_FAILED)
            assert answer.status_code == 200

    @move(6, when=lambda self: self.free, name=NAMES, at_once=SELDOM)
    def choose(self, name: str, at_once: bool) -> None:
        may_now = [tab for tab in self.free if tab.asked and tab.asked.asked.confirmed_by(tab.name)]
        self._choose(self.dice.choice([*may_now * 5, *self.free]), name, at_once=at_once)

    def _choose(self, tab: Tab, name: str, *, at_once: bool) -> None:
        account = tab.asked
        password = PASSWORDS["member" if tab.name == "member" else "attacker"]
        self.typed(password)
        fields = {"web_id": name, "password1": password, "password2": password}
        may = account is not None and account.may_choose(tab.name, self.now)
        act = partial(tab.client.post, "/web-id/register/choose/", fields)
        paused = self.begin(act, judged=may)

        def end(answer: Any) -> None:
            if not may or account is None:
                assert answer["Location"] == "/web-id/register/"
                return
            taken = plain(name) in {plain(one.web_id) for one in self.accounts}
            if taken or not account.may_choose(tab.name, self.now):
                assert answer.status_code == 200, "registered"
                return
            assert answer["Location"] == "/web-id/register/done/"
            assert account.is_open(self.now)
            account.web_id, account.password = normalize("NFKC", name), password
            account.end += 1
            account.asked.used = True
            self.forget(tab)
            self.expected.append(Act.WEB_ID_REGISTERED)

        self.leave(tab.name, paused, end, at_once=at_once, account=account)
