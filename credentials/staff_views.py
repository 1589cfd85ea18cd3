"""The pages on which staff sign in, step by step, and look after their own credentials."""

from __future__ import annotations

from typing import Any
from urllib.parse import urlencode

from django.contrib.auth import REDIRECT_FIELD_NAME
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import redirect, render
from django.urls import reverse, reverse_lazy

from credentials import second_factor
from credentials.forms.second_factor import (
    AppCodeForm,
    EnrolForm,
    NewRecoveryCodesForm,
    OwnPasswordForm,
    SecondFactorForm,
)
from credentials.forms.sign_in import StaffSignInForm
from credentials.views import ActView, SignInView
from members.numbers import grouped


class StaffStep(SignInView):
    """One step of the staff's sign-in; where to go after the last one travels along."""

    def get(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        # Whoever is signed in as a member sees the page, too.
        return super(SignInView, self).get(request, *args, **kwargs)

    def get_success_url(self) -> str:
        return self.next_url() or reverse("admin:index")

    def step(self, name: str) -> str:
        """Return the address of another step, with where to go in the end."""
        url, wanted = reverse(name), self.next_url()
        return f"{url}?{urlencode({REDIRECT_FIELD_NAME: wanted})}" if wanted else url


class PasswordView(StaffStep):
    """Step 1, on the same act as the members' sign-in."""

    template_name = "admin/login.html"
    form_class = StaffSignInForm

    def get_success_url(self) -> str:
        return self.step("admin:second_factor")


class SecondFactorView(StaffStep):
    """Step 2, for whoever has enrolled."""

    template_name = "admin/second_factor_verify.html"
    form_class = SecondFactorForm

    def turned_away(self) -> HttpResponse | None:
        staff = second_factor.pending(self.request.session)
        if staff is None:
            return redirect(self.step("admin:login"))
        return None if staff.factor else redirect(self.step("admin:second_factor_enrol"))


class RecoveryCodesShown(ActView):
    """A page whose act hands recovery codes over: they are the answer, and on no other page."""

    form_class: type[AppCodeForm]

    def form_valid(self, form: Any) -> HttpResponse:
        answer = super().form_valid(form)
        if not isinstance(answer, HttpResponseRedirect):
            return answer
        context = {
            **(self.extra_context or {}),
            "recovery_codes": [grouped(code, 5) for code in form.recovery_codes],
            "next": answer.url,
        }
        return render(self.request, "admin/second_factor_recovery_codes.html", context)


class EnrolView(RecoveryCodesShown, StaffStep):
    """Step 2 at the first sign-in: the app takes the secret up, and proves it."""

    template_name = "admin/second_factor_enrol.html"
    form_class = EnrolForm

    def turned_away(self) -> HttpResponse | None:
        if second_factor.pending(self.request.session) is None:
            return redirect(self.step("admin:login"))
        self.offered = second_factor.offer(self.request.session)
        return None if self.offered else redirect(self.step("admin:second_factor"))

    def get_context_data(self, **context: Any) -> dict[str, Any]:
        offered = self.offered
        letters = grouped(offered.letters, 4) if offered else ""
        return super().get_context_data(offered=offered, letters=letters, **context)


class NewRecoveryCodesView(RecoveryCodesShown):
    """New recovery codes of one's own, for who is signed in."""

    template_name = "admin/second_factor_renew.html"
    form_class = NewRecoveryCodesForm
    success_url = reverse_lazy("admin:index")

    def get_context_data(self, **context: Any) -> dict[str, Any]:
        left = second_factor.recovery_codes_left(self.request.user)  # type: ignore[arg-type]
        return super().get_context_data(left=left, **context)


class OwnPasswordView(ActView):
    """One's own password, on the admin's page."""

    template_name = "registration/password_change_form.html"
    form_class = OwnPasswordForm
    success_url = reverse_lazy("admin:password_change_done")

    def get_form_kwargs(self) -> dict[str, Any]:
        return {**super().get_form_kwargs(), "user": self.request.user}
