"""The call centre's pages: verify who calls, and tell the member number."""

from __future__ import annotations

from typing import Any

from django.conf import settings
from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.utils.translation import gettext_lazy as _

from credentials import telling, verification
from credentials.admin.desk import clock_time
from credentials.admin.pages import DeskPage, open_until
from credentials.forms.telling import TellForm
from credentials.forms.verification import HandOffForm, QuestionsForm
from credentials.refusals import Refusal


class _OnPhone(DeskPage):
    """One of the two ways to verify a caller; both stand on one page."""

    permission = "members.verify_on_phone"
    template_name = "admin/members/member/verify.html"
    title = _("Verify on the phone")
    shows_answers = True

    def answered(self, refusal: Refusal | None) -> Refusal | HttpResponse:
        """Say clearly whether it was passed, and what may be done now."""
        check = verification.opened(self.member, self.staff)
        if refusal or check is None:
            return refusal or Refusal(verification.Why.REFUSED)
        messages.success(
            self.request,
            _("Verified. The member is open to you until %(until)s.")
            % {"until": clock_time(open_until(check))},
        )
        return redirect("admin:members_member_change", self.member.pk)

    def get_context_data(self, **context: Any) -> dict[str, Any]:
        questions = verification.questions(self.member)
        failures = verification.failures_on_phone(self.member)
        forms = {
            "questions_form": QuestionsForm(questions=questions),
            "hand_off_form": HandOffForm(),
        }
        form = context.get("form") or self.get_form()
        which = "questions_form" if isinstance(form, QuestionsForm) else "hand_off_form"
        forms[which] = form
        ticked = form["answered"].value() if which == "questions_form" and form.is_bound else []
        required = settings.IDENTITY_QUESTIONS_REQUIRED
        return super().get_context_data(
            **{
                **forms,
                "questions": [
                    {
                        "fact": question.fact,
                        "answer": question.answer,
                        "impostor_knows": question.fact in verification.IMPOSTOR_KNOWS,
                        "ticked": question.fact.value in (ticked or []),
                    }
                    for question in questions
                ],
                "required": required,
                "too_few": len(questions) < required,
                "failures": failures,
                "failures_left": max(verification.FAILURES_A_DAY - failures, 0),
                "phone_way_closed": failures >= verification.FAILURES_A_DAY,
                "failed": form.is_bound and not form.is_valid(),
                **context,
            }
        )


class VerifyByQuestions(_OnPhone):
    """Ask, compare, tick what was answered right."""

    address = "verify"
    url_name = "member_verify"
    form_class = QuestionsForm

    def get_form_kwargs(self) -> dict[str, Any]:
        questions = verification.questions(self.member)
        return {**super().get_form_kwargs(), "questions": questions}

    def act(self, form: QuestionsForm, source: str) -> Refusal | HttpResponse | None:
        return self.answered(
            verification.check_by_questions(
                member=self.member,
                by=self.staff,
                answered=form.cleaned_data["answered"],
                source=source,
            )
        )


class VerifyByHandOffCode(_OnPhone):
    """Type the code that the signed-in member reads out."""

    address = "hand-off"
    url_name = "member_hand_off"
    form_class = HandOffForm

    def get(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        return redirect("admin:member_verify", self.member.pk)

    def act(self, form: HandOffForm, source: str) -> Refusal | HttpResponse | None:
        return self.answered(
            verification.check_by_hand_off_code(
                member=self.member, by=self.staff, code=form.cleaned_data["code"], source=source
            )
        )


class Tell(DeskPage):
    """Tell the member number: the reason first, then the digits, large, to read out."""

    permission = telling.PERMISSION
    address = "tell"
    url_name = "member_tell"
    title = _("Tell the member number")
    template_name = "admin/members/member/tell.html"
    form_class = TellForm
    needs_verification = True

    def act(self, form: TellForm, source: str) -> Refusal | HttpResponse | None:
        told = telling.tell_member_number(
            member=self.member, by=self.staff, reason=form.cleaned_data["reason"], source=source
        )
        if isinstance(told, Refusal):
            return told
        thirds = [told[:3], told[3:6], told[6:]]
        return self.once("admin/members/member/told.html", thirds=thirds)


PAGES: tuple[type[DeskPage], ...] = (VerifyByQuestions, VerifyByHandOffCode, Tell)
