"""The addresses of the member's own pages."""

from django.urls import path

from members.views import MemberPage

urlpatterns = [
    path("", MemberPage.as_view(template_name="members/top.html"), name="top"),
    path("member-number/memo/", MemberPage.as_view(template_name="members/memo.html"), name="memo"),
]
