"""The admin as each role finds it; what staff do to a member is in the tests of that act."""

from __future__ import annotations

from base64 import b32decode
from collections.abc import Callable

import pytest
from playwright.sync_api import expect

from credentials.models import ApiKey, SecondFactor
from members.models import User
from tests.browser.desk import give_code, give_password, send
from tests.browser.equipment import in_pairs
from tests.browser.people import HANAKO
from tests.browser.test_signing_in import sign_in
from tests.browser.visitor import Visitor
from tests.factories import PASSWORD, StaffFactory, app_code
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
    auditor.open("/admin/credentials/event/")
    auditor.page.locator("[name=member]").fill(HANAKO.member_number)
    auditor.press("Show")
    expect(auditor.page.locator("#result_list tbody tr")).to_have_count(2)
    auditor.open("/admin/credentials/outboxmail/")
    expect(auditor.page.locator("#result_list tbody tr")).to_have_count(1)
    assert HANAKO.email not in auditor.page.content()
    auditor.open("/admin/")
    auditor.follow("Overview")
    auditor.is_at("/admin/overview/", "Overview")
    for path in ("credentials/identitycheck", "credentials/closure"):
        auditor.open(f"/admin/{path}/")
    # Two of three that the export of a person's looks needs are missing.
    auditor.open("/admin/credentials/event/?staff=suzuki")
    send(auditor, "button[name=people]")
    auditor.is_at("/admin/credentials/event/export/", "Export the record")


@in_pairs
def test_the_administrator_gives_somebody_a_role(staff: Callable[[str], Visitor]) -> None:
    administrator = staff("Administrator")
    administrator.open("/admin/members/user/add/")
    administrator.page.locator("[name=username]").fill("sato")
    administrator.page.locator("[name=password1]").fill(PASSWORD)
    administrator.page.locator("[name=password2]").fill(PASSWORD)
    administrator.page.locator("[name=reason]").fill("New at the branch")
    administrator.press("Save")
    sato = User.objects.get(username="sato")
    administrator.is_at(f"/admin/members/user/{sato.pk}/change/")
    roles = "#id_groups_from" if administrator.scripts else "#id_groups"
    administrator.page.locator(roles).select_option(label="Store")
    if administrator.scripts:
        administrator.page.locator("#id_groups_add, #id_groups_add_link").first.click()
    administrator.page.locator("[name=reason]").fill("New at the branch")
    administrator.press("Save")
    assert [role.name for role in sato.groups.all()] == ["Store"]
    assert sato.is_staff


@in_pairs
def test_the_first_sign_in_takes_an_app_on_and_a_recovery_code_replaces_it(
    comes: Callable[..., Visitor],
) -> None:
    sato = StaffFactory(role="Administrator", second_factor=False)
    staff = comes(is_staff=True)
    staff.open("/admin/")
    give_password(staff, sato.username)
    enrol = "/admin/second-factor/enrol/?next=%2Fadmin%2F"
    staff.is_at(enrol, "Second step: set your authenticator app up")
    letters = staff.page.locator("#second-factor-secret").inner_text()
    secret = b32decode(letters.replace(" ", ""))
    assert staff.page.locator("img.qr-code").evaluate("picture => picture.naturalWidth") > 200
    staff.page.locator("[name=code]").fill("12345")
    staff.press("Go on")
    staff.reads("The code has six digits.")
    staff.page.locator("[name=code]").fill(app_code(secret=secret))
    staff.press("Go on")
    expect(staff.page.locator("h1")).to_have_text(staff.say("Your recovery codes"))
    recovery_codes = staff.page.locator("#recovery-codes li").all_inner_texts()
    assert len(set(recovery_codes)) == 10
    staff.follow("I have them: go on")
    staff.is_at("/admin/", "What do you want to do?")
    staff.follow("Recovery codes")
    staff.is_at("/admin/second-factor/recovery-codes/", "New recovery codes")
    assert recovery_codes[0] not in staff.page.content()

    again = comes(is_staff=True)
    again.open("/admin/")
    give_password(again, sato.username)
    give_code(again, recovery_codes[0])
    again.is_at("/admin/")


@in_pairs
def test_a_key_for_the_card_host_and_a_colleague_without_a_phone(
    staff: Callable[[str], Visitor],
) -> None:
    colleague = StaffFactory(role="Store")
    administrator = staff("Administrator")
    page = administrator.page
    administrator.open("/admin/credentials/apiclient/add/")
    page.locator("[name=name]").fill("card host")
    administrator.press("Save")
    send(administrator, "#result_list tbody th a")
    administrator.follow("Make a key")
    page.locator("[name=reason]").fill("The first one")
    administrator.press("Make a key")
    key = page.locator("#api-key").inner_text()
    assert key.startswith("msp_")
    administrator.follow("Back")
    assert key not in page.content()
    expect(page.locator("#keys tbody tr")).to_have_count(1)
    administrator.open("/admin/credentials/apikey/")
    page.locator("[name=_selected_action]").first.check()
    page.locator("[name=action]").first.select_option("revoke")
    send(administrator, "button[name=index]")
    page.locator("[name=reason]").fill("It was a trial")
    send(administrator, "#content-main [type=submit]")
    assert ApiKey.objects.get().revoked_at

    administrator.open(f"/admin/members/user/{colleague.pk}/change/")
    administrator.follow("Re-set the second factor")
    page.locator("[name=reason]").fill("Lost the phone; showed the staff card")
    administrator.press("Re-set the second factor")
    administrator.reads("The second factor is re-set.")
    assert not SecondFactor.objects.filter(pk=colleague.pk).exists()


@in_pairs
def test_a_wrong_password_a_wrong_code_and_a_page_for_staff_only(
    visitor: Visitor, comes: Callable[..., Visitor]
) -> None:
    visitor.open("/login/")
    sign_in(visitor)
    member = comes(is_staff=True)
    member.context.add_cookies(visitor.context.cookies())
    member.open("/admin/members/member/")
    assert member.path.startswith("/admin/login/")
    give_password(member, "nobody")
    member.reads("Name and password do not go together, or the account is suspended.")

    # The password alone opens nothing, and a wrong code no more.
    give_password(member, StaffFactory(role="Store").username)
    member.is_at("/admin/second-factor/?next=%2Fadmin%2Fmembers%2Fmember%2F")
    member.open("/admin/members/member/")
    assert member.path.startswith("/admin/login/")
    member.open("/admin/second-factor/")
    give_code(member, "0123456789")
    member.is_at("/admin/second-factor/", "Second step: the code")
    member.reads(
        "This code is not right, was used before, or the account is suspended. "
        "Wait for the next code and type that one."
    )
