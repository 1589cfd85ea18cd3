"""The portal behind TLS on loopback, as a browser meets it behind the proxy of production.

So every rule for the browser is on in the tests: `__Host-` cookies, the redirect from plain HTTP,
the content security policy, the clipboard (which needs a secure page).
"""

from __future__ import annotations

import socket
import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from ipaddress import ip_address
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from django.contrib.staticfiles.handlers import StaticFilesHandler
from django.core.handlers.wsgi import WSGIHandler
from django.core.servers.basehttp import ThreadedWSGIServer, WSGIRequestHandler
from django.utils import timezone

HOST = "127.0.0.1"


class _AsFromProxy(WSGIRequestHandler):
    """Adds what the proxy that ends TLS adds, and writes no log."""

    def get_environ(self) -> dict[str, Any]:
        return {
            **super().get_environ(),
            "HTTP_X_FORWARDED_PROTO": "https",
            "HTTP_X_FORWARDED_FOR": self.client_address[0],
        }

    def log_message(self, format: str, *args: Any) -> None:
        """Say nothing: what went wrong shows in the tests."""


class _Server(ThreadedWSGIServer):
    request_queue_size = 64

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Say nothing of connections that the browser opened and left."""


def _certificate(folder: Path) -> ssl.SSLContext:
    """Return TLS with a certificate of today for HOST, signed by itself."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, HOST)])
    now = timezone.now()
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(hours=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ip_address(HOST))]), False)
        .sign(key, hashes.SHA256())
    )
    path = folder / "tls.pem"
    path.write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
        + certificate.public_bytes(serialization.Encoding.PEM)
    )
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    tls.load_cert_chain(path)
    return tls


@contextmanager
def serving() -> Iterator[str]:
    """Serve the portal with the settings of this process; give its address."""
    with TemporaryDirectory(prefix="portal-tls-") as folder:
        tls = _certificate(Path(folder))
        server = _Server((HOST, 0), _AsFromProxy)
        # The handshake is for the connection's own thread, not for the one that accepts.
        plain: socket.socket = server.socket
        server.socket = tls.wrap_socket(plain, server_side=True, do_handshake_on_connect=False)
        server.set_app(StaticFilesHandler(WSGIHandler()))
        thread = threading.Thread(target=server.serve_forever, name="portal", daemon=True)
        thread.start()
        try:
            yield f"https://{HOST}:{server.server_port}"
        finally:
            server.shutdown()
            server.server_close()
            thread.join()
