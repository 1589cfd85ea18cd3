"""The addresses of signing in, registering and the terminal in the store."""

from django.urls import path

from credentials import self_service, views

urlpatterns = [
    path("login/", views.CardSignInView.as_view(), name="login"),
    path("login/web-id/", views.WebIDSignInView.as_view(), name="login_web_id"),
    path("logout/", views.log_out, name="logout"),
    path("web-id/register/", views.RegistrationView.as_view(), name="register"),
    path("web-id/register/code/", views.CodeView.as_view(), name="register_code"),
    path("web-id/register/choose/", views.ChooseView.as_view(), name="register_choose"),
    path("web-id/register/done/", views.RegisteredView.as_view(), name="register_done"),
    path("pin/", views.PinView.as_view(), name="pin"),
    path("pin/done/", views.PinDoneView.as_view(), name="pin_done"),
    path("pin/prepare/", self_service.PreparePin.as_view(), name="pin_prepare"),
    path("hand-off/", self_service.HandOff.as_view(), name="hand_off"),
    path("sign-ins/", self_service.SignIns.as_view(), name="sign_ins"),
    path("sign-ins/not-me/", self_service.Disown.as_view(), name="disown_any"),
    path("sign-ins/<int:sign_in>/not-me/", self_service.Disown.as_view(), name="disown"),
    path("sign-ins/disowned/", self_service.Disowned.as_view(), name="disowned"),
    path("closure/", self_service.Closing.as_view(), name="closure"),
    path("help/", views.PlainPage.as_view(template_name="credentials/help.html"), name="help"),
]
