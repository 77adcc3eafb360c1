"""What a TLS server shows for a certificate, whether or not anyone would trust it. Decides no trust."""

from __future__ import annotations

import asyncio
import contextlib
import ssl
from dataclasses import dataclass
from pathlib import Path

from cryptography import x509
from cryptography.x509.oid import NameOID

from probes.text import clean

MOST_NAMES = 20
NAME_LIMIT = 255


@dataclass(frozen=True, slots=True)
class Certificate:
    """The end of its validity in seconds since the epoch, and the names it is for (gated)."""

    not_after: float
    names: tuple[str, ...]


def read_certificate(der: bytes | None) -> Certificate | None:
    """Return what a certificate in DER says; None for none, or for one that nobody can read."""
    if not der:
        return None
    try:
        parsed = x509.load_der_x509_certificate(der)
        return Certificate(parsed.not_valid_after_utc.timestamp(), _names(parsed))
    except (ValueError, TypeError, OverflowError, x509.DuplicateExtension, x509.UnsupportedGeneralNameType):
        return None


def context(*, verify: bool, ca: Path | None = None) -> ssl.SSLContext:
    """Return a client context: a verifying one, or one that accepts any certificate and the oldest TLS that devices speak.

    Raises:
        OSError: the file of trusted certificates cannot be read.
    """
    made = ssl.create_default_context(cafile=str(ca) if ca else None)
    if not verify:
        made.check_hostname = False
        made.verify_mode = ssl.CERT_NONE
        made.minimum_version = ssl.TLSVersion.MINIMUM_SUPPORTED
        made.set_ciphers("DEFAULT:@SECLEVEL=0")
    return made


async def fetch_certificate(host: str, port: int, trusting: ssl.SSLContext) -> Certificate | None:
    """Return the certificate shown on a fresh connection, on which nothing is asked; None if there is no handshake.

    The caller keeps the deadline. `trusting` is a context that does not verify.
    """
    try:
        _reader, writer = await asyncio.open_connection(host, port, ssl=trusting, server_hostname=host)
    except (OSError, ValueError):
        return None
    try:
        shown = writer.get_extra_info("ssl_object")
        return read_certificate(shown.getpeercert(binary_form=True) if shown is not None else None)
    finally:
        writer.transport.abort()
        with contextlib.suppress(OSError):
            await writer.wait_closed()


def _names(certificate: x509.Certificate) -> tuple[str, ...]:
    found: list[str] = []
    with contextlib.suppress(x509.ExtensionNotFound):
        alternative = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
        found += [str(name) for name in alternative.get_values_for_type(x509.DNSName)]
        found += [str(address) for address in alternative.get_values_for_type(x509.IPAddress)]
    if not found:
        found = [str(attribute.value) for attribute in certificate.subject.get_attributes_for_oid(NameOID.COMMON_NAME)]
    return tuple(clean(name, NAME_LIMIT) for name in found[:MOST_NAMES])
