"""gunicorn's threaded worker, but no thread waits for a client.

A thread is for work. gunicorn's own worker gives a connection to a thread before its request has
come, and waits in its main loop while one is closed: so a hundred clients that send a byte at a
time, or never hang up, stop everybody else. Here the main loop watches a connection until the
whole request is there (all forms of the portal are small), and watches again while it closes. The
kernel's buffers hold what has come so far, so a client that waits costs no memory of ours.
"""

from __future__ import annotations

import array
import errno
import fcntl
import re
import socket
import termios
import time
from functools import partial
from typing import Any

from gunicorn.workers.gthread import TConn, ThreadWorker

# A request must be there, and an answer be taken, within so long; the keyboard is not in it.
CLIENT_SECONDS = 10.0
LINGER_SECONDS = 2.0
LARGEST_HEAD = 64 * 1024
# The settings' DATA_UPLOAD_MAX_MEMORY_SIZE: what is larger is refused unread.
LARGEST_BODY = 64 * 1024
# A page is smaller, so the kernel takes it whole and no thread waits until it was read.
SEND_BUFFER = 256 * 1024

_HEAD_ENDS = b"\r\n\r\n"
_LENGTH = re.compile(rb"\r\ncontent-length:[ \t]*([^\r\n]*)", re.IGNORECASE)
_CODED = re.compile(rb"\r\ntransfer-encoding:", re.IGNORECASE)
_EXPECTS = re.compile(rb"\r\nexpect:[ \t]*100-continue", re.IGNORECASE)
_SOME = 4096
_DIGITS = 9


def _length_of_body(head: bytes) -> int | None:
    """Return how long the body is that this head announces; None where it does not say."""
    if _CODED.search(head):
        return None
    found = _LENGTH.search(head)
    digits = found[1].strip() if found else b"0"
    if not digits.isdigit():
        return None
    # Python does not read a number of thousands of digits; leading zeros mean nothing.
    significant = digits.lstrip(b"0")
    return int(significant[:_DIGITS] or b"0")


class Connection(TConn):
    """One connection: what of its next request has come, and whether another may follow it."""

    def __init__(self, worker: Worker, client: socket.socket, peer: Any, here: Any) -> None:
        super().__init__(worker.cfg, client, peer, here)
        client.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, SEND_BUFFER)
        self._worker = worker
        self._seen = 0
        self._told_to_continue = False
        self.is_last = False
        self.gives_up_at = 0.0

    def is_whole(self) -> bool:
        """Whether a thread can read the next request, or its refusal is due, without waiting."""
        try:
            head = self.sock.recv(LARGEST_HEAD, socket.MSG_PEEK)
        except BlockingIOError:
            return False
        except OSError:
            return True
        come = array.array("i", [0])
        fcntl.ioctl(self.sock, termios.FIONREAD, come)
        return self._has_all(head, come[0])

    def _has_all(self, head: bytes, come: int) -> bool:
        end = head.find(_HEAD_ENDS)
        missing = self._missing(head[: end + 2], end, come) if head else 0
        if missing and come > self._seen:
            self._seen = come
            # Wake up when there is a use in looking again; not for what is there already.
            self._wake_up_at(come + missing)
            return False
        # All there; or woken with too little, so the client went away in the middle.
        self._seen = 0
        self._told_to_continue = False
        self._wake_up_at(1)
        return True

    def _missing(self, head: bytes, end: int, come: int) -> int:
        """Return how many bytes, at least, must still come; 0 where there is no use in waiting."""
        if end < 0:
            self.is_last = come >= LARGEST_HEAD
            return 0 if self.is_last else 1
        body = _length_of_body(head)
        if body is None or body > LARGEST_BODY:
            # Refused by what its head says. What stands behind it is nobody's next request.
            self.is_last = True
            return 0
        missing = max(end + len(_HEAD_ENDS) + body - come, 0)
        if missing and not self._told_to_continue and _EXPECTS.search(head):
            self._told_to_continue = True
            try:
                self.sock.send(b"HTTP/1.1 100 Continue\r\n\r\n")
            except OSError:
                # Gone, or takes nothing: not for the main loop to stumble over.
                self.is_last = True
                return 0
        return missing

    def _wake_up_at(self, come: int) -> None:
        self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVLOWAT, come)

    def close(self, graceful: bool = False) -> None:
        """Close; `graceful`: once the client has had time to read the answer."""
        if graceful:
            self._worker.linger(self)
        else:
            super().close()


class Worker(ThreadWorker):
    """Gives a connection to a thread when its request is there."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._lingering: dict[Connection, None] = {}

    def accept(self, listener: socket.socket) -> None:
        try:
            client, peer = listener.accept()
        except OSError as error:
            # EMFILE: no more files may be open. The client waits in the kernel's queue.
            if error.errno in (errno.EAGAIN, errno.ECONNABORTED, errno.EMFILE, errno.ENFILE):
                return
            raise
        self.nr_conns += 1
        self._await_request(Connection(self, client, peer, listener.getsockname()))

    def _await_request(self, conn: Connection) -> None:
        conn.timeout = time.monotonic() + CLIENT_SECONDS
        self.pending_conns.append(conn)
        ready = partial(self.on_pending_socket_readable, conn)
        self.poller.register(conn.sock, 1, ready)

    def on_pending_socket_readable(self, conn: Connection, client: socket.socket) -> None:
        if conn.is_whole():
            super().on_pending_socket_readable(conn, client)

    def on_client_socket_readable(self, conn: Connection, client: socket.socket) -> None:
        """As for a new connection: what was kept alive has the beginning of a request."""
        if conn.is_whole():
            super().on_client_socket_readable(conn, client)
            return
        self.poller.unregister(client)
        self.keepalived_conns.remove(conn)
        self._await_request(conn)

    def _keepalive_after(self, conn: Connection, keepalive: bool) -> bool:
        if not keepalive or conn.is_last or not super()._keepalive_after(conn, keepalive):
            return False
        # Requests one behind the other without waiting for answers: no browser or proxy does so.
        return not conn.parser.unreader.buf.getvalue()

    def linger(self, conn: Connection) -> None:
        """Say that nothing more comes, and watch, for a while, until the client has hung up."""
        try:
            conn.sock.setblocking(False)
            conn.sock.shutdown(socket.SHUT_WR)
            self.poller.register(conn.sock, 1, partial(self._read_on, conn))
        except (OSError, KeyError, ValueError):
            conn.close()
            return
        # Still one of those that `worker_connections` bounds.
        self.nr_conns += 1
        conn.gives_up_at = time.monotonic() + LINGER_SECONDS
        self._lingering[conn] = None

    def _read_on(self, conn: Connection, client: socket.socket) -> None:
        try:
            left = client.recv(_SOME)
        except BlockingIOError:
            return
        except OSError:
            left = b""
        if not left:
            self._hang_up(conn)

    def _hang_up(self, conn: Connection) -> None:
        del self._lingering[conn]
        self.poller.unregister(conn.sock)
        self.nr_conns -= 1
        conn.close()

    def _cap_keepalive(self, deadline: float) -> None:
        """At the stop: whoever has sent nothing yet is not waited for longer than the others."""
        super()._cap_keepalive(deadline)
        for conn in self.pending_conns:
            conn.timeout = min(conn.timeout, deadline)

    def murder_pending(self) -> None:
        """Hang up on those whose time is over."""
        super().murder_pending()
        now = time.monotonic()
        for conn in list(self._lingering):
            if conn.gives_up_at > now:
                break
            self._hang_up(conn)
