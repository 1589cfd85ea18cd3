"""The admin as each role finds it; what staff do to a member is in the tests of that act."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from playwright.sync_api import expect

from members.models import User
from tests.browser.equipment import in_pairs
from tests.browser.people import HANAKO
from tests.browser.test_signing_in import sign_in
from tests.browser.visitor import Visitor
from tests.factories import PASSWORD
from tests.server.mailbox import Mailbox

pytestmark = pytest.mark.browser


@in_pairs
def test_the_auditor_reads_the_record_and_the_outbox(
    visitor: Visitor, staff: Callable[[str], Visitor], mailbox: Mailbox
) -> None:
    visitor.open("/login/")
    sign_in(visitor)
    visitor.open("/web-id/register/")
    visitor.fill("Member number", HANAKO.member_number)
    visitor.fill("Registered email address", HANAKO.email)
    visitor.press("Send the code")
    mailbox.wait_for(HANAKO.email)

    auditor = staff("Auditor")
    auditor.open(f"/admin/credentials/event/?q={HANAKO.member_number}")
    expect(auditor.page.locator("#result_list tbody tr")).to_have_count(2)
    auditor.open("/admin/credentials/outboxmail/")
    expect(auditor.page.locator("#result_list tbody tr")).to_have_count(1)
    assert HANAKO.email not in auditor.page.content()


@in_pairs
def test_the_administrator_gives_somebody_a_role(staff: Callable[[str], Visitor]) -> None:
    administrator = staff("Administrator")
    administrator.open("/admin/members/user/add/")
    administrator.page.locator("[name=username]").fill("sato")
    administrator.page.locator("[name=password1]").fill(PASSWORD)
    administrator.page.locator("[name=password2]").fill(PASSWORD)
    administrator.press("Save")
    sato = User.objects.get(username="sato")
    administrator.is_at(f"/admin/members/user/{sato.pk}/change/")
    roles = "#id_groups_from" if administrator.scripts else "#id_groups"
    administrator.page.locator(roles).select_option(label="Store")
    if administrator.scripts:
        administrator.page.locator("#id_groups_add, #id_groups_add_link").first.click()
    administrator.press("Save")
    assert [role.name for role in sato.groups.all()] == ["Store"]
    assert sato.is_staff


@in_pairs
def test_a_wrong_password_and_a_page_for_staff_only(
    visitor: Visitor, comes: Callable[..., Visitor]
) -> None:
    visitor.open("/login/")
    sign_in(visitor)
    member = comes(is_staff=True)
    member.context.add_cookies(visitor.context.cookies())
    member.open("/admin/members/member/")
    assert member.path.startswith("/admin/login/")
    member.page.locator("[name=username]").fill("nobody")
    member.page.locator("[name=password]").fill(PASSWORD)
    member.press("Log in")
    member.reads("Name and password do not go together, or the account is suspended.")
