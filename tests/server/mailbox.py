"""A mail server on loopback that can be up, down, or out of its mind."""

from __future__ import annotations

import asyncio
import email
import socket
import threading
from email import policy
from email.message import EmailMessage
from typing import Any

from aiosmtpd.controller import Controller

from tests.server.processes import free_port, wait_until


class Mailbox:
    """Takes every mail, once `up()`; and stays at one address through all that befalls it."""

    def __init__(self) -> None:
        self.port = free_port()
        self.url = f"smtp://127.0.0.1:{self.port}"
        self.mails: list[EmailMessage] = []
        # A mail that was begun waits for this before it is taken.
        self.taking = threading.Event()
        self.taking.set()
        self.begun = threading.Event()
        self._controller: Controller | None = None
        self._deaf: socket.socket | None = None

    def up(self) -> None:
        """Take mail."""
        self.down()
        self.taking.set()
        self._controller = Controller(self, hostname="127.0.0.1", port=self.port)
        self._controller.start()

    def down(self) -> None:
        """Refuse connections."""
        if self._deaf is not None:
            self._deaf.close()
            self._deaf = None
        if self._controller is not None:
            self._controller.stop()
            self._controller = None

    def hang(self) -> None:
        """Accept connections and never say a word."""
        self.down()
        self._deaf = socket.create_server(("127.0.0.1", self.port), backlog=64)

    async def handle_DATA(self, server: Any, session: Any, envelope: Any) -> str:
        self.begun.set()
        while not self.taking.is_set():
            await asyncio.sleep(0.02)
        message = email.message_from_bytes(envelope.content, policy=policy.default)
        assert isinstance(message, EmailMessage)
        message["X-Envelope-To"] = ", ".join(envelope.rcpt_tos)
        self.mails.append(message)
        return "250 OK"

    def to(self, address: str) -> list[EmailMessage]:
        """Return the mails that came for this address."""
        return [mail for mail in list(self.mails) if mail["X-Envelope-To"] == address]

    def wait_for(self, address: str, number: int = 1, seconds: float = 30) -> list[EmailMessage]:
        """Return the mails for this address, once there are as many as `number`."""
        wait_until(f"mail to {address}", lambda: len(self.to(address)) >= number, seconds)
        return self.to(address)
