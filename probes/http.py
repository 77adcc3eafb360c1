"""The question `http`: one request, its status, where the time went, and until when the certificate is good.

One deadline over everything, redirects never followed, nothing decompressed, at most 64 KB read. The certificate is reported
whether it is trusted or not; only ``verify: true`` makes a bad one a failure (and sends no credentials to it).
"""

from __future__ import annotations

import asyncio
import base64
import socket
import ssl
from types import SimpleNamespace
from typing import TYPE_CHECKING

import aiohttp
from aiohttp.abc import AbstractResolver, ResolveResult

from config.language import _
from config.profile import Step
from config.site import Device, HttpCredentials, Site
from probes.certificate import Certificate, context, fetch_certificate, read_certificate
from probes.connect import reason_of_os_error
from probes.labels import base_labels
from probes.outcome import Outcome
from probes.reason import Reason
from probes.sample import series_key
from probes.step import OptionError, Options

if TYPE_CHECKING:
    from probes.net import Net
    from probes.resolver import Resolver

MOST_BODY_BYTES = 64 << 10
PHASES = ("resolve", "connect", "answer", "read")

_REASONS: tuple[tuple[type[BaseException], Reason], ...] = (
    (TimeoutError, Reason.TIMEOUT),
    (aiohttp.ClientConnectorDNSError, Reason.RESOLVE),
    (aiohttp.ClientSSLError, Reason.TLS),
    (aiohttp.ServerFingerprintMismatch, Reason.TLS),
    (ssl.SSLError, Reason.TLS),
)


def reason_of(error: BaseException) -> Reason:
    """Return the reason of an exception of aiohttp, of TLS or of a socket."""
    for kind, reason in _REASONS:
        if isinstance(error, kind):
            return reason
    if isinstance(error, aiohttp.ClientConnectorError):
        return reason_of_os_error(error.os_error)
    return Reason.PROTOCOL


def compile_http(site: Site, device: Device, step: Step) -> HttpQuestion:
    """Compile a step. Options: `scheme` (http, https), `port`, `path`, `method` (GET, HEAD), `status` (the good ones; else
    all below 400), `verify` (true or false, default false).

    Raises:
        OptionError: an option is wrong or unknown, or the file of trusted certificates cannot be read.
    """
    options = Options(step)
    scheme = options.text("scheme", "http", choices=("http", "https"))
    usual = device.ports.get(scheme, 443 if scheme == "https" else 80)
    port = options.integer("port", usual, 1, 65535)
    path = options.text("path", "/")
    method = options.text("method", "GET", choices=("GET", "HEAD"))
    statuses = options.integers("status", (), 100, 599)
    verify = options.flag("verify", False)
    options.done()
    if not path.startswith("/") or not path.isascii() or not path.isprintable() or " " in path:
        raise OptionError("path", _("must begin with / and hold no blanks or control characters"))
    credentials = device.credentials.http if device.credentials is not None else None
    request = _Request(method, scheme, device.address, port, path, statuses, credentials)
    return HttpQuestion(request, _Trust(verify, credentials), base_labels(site, device))


class _Request:
    """What is asked. The credentials are looked at when asking, so that they stand nowhere else."""

    def __init__(
        self,
        method: str,
        scheme: str,
        host: str,
        port: int,
        path: str,
        statuses: tuple[int, ...],
        credentials: HttpCredentials | None,
    ) -> None:
        self.method, self.host, self.port, self.statuses = method, host, port, statuses
        self.secure = scheme == "https"
        shown = f"[{host}]" if ":" in host else host
        self.url = f"{scheme}://{shown}:{port}{path}"
        self._credentials = credentials

    def headers(self) -> dict[str, str]:
        """Return the headers, with authorisation where there are credentials."""
        made = {"Accept-Encoding": "identity", "User-Agent": "watchkeeper"}
        given = self._credentials
        if given is not None and given.bearer is not None:
            made["Authorization"] = f"Bearer {given.bearer.reveal()}"
        elif given is not None and given.username:
            password = given.password.reveal() if given.password is not None else ""
            made["Authorization"] = "Basic " + base64.b64encode(f"{given.username}:{password}".encode()).decode()
        return made


class _Trust:
    """The two TLS contexts: the one to ask with, and the one that looks at any certificate."""

    def __init__(self, verify: bool, credentials: HttpCredentials | None) -> None:
        ca = credentials.ca if credentials is not None else None
        self.verify = verify
        self.trusting = context(verify=False)
        try:
            self.asking = context(verify=True, ca=ca) if verify else self.trusting
        except OSError as error:
            text = _("{path} cannot be read: {error}").format(path=ca, error=_(error.strerror or type(error).__name__))
            raise OptionError("verify", text) from error


class HttpQuestion:
    """One request. Samples: http_status_code, http_duration_seconds{phase}, tls_certificate_expiry_seconds."""

    def __init__(self, request: _Request, trust: _Trust, labels: dict[str, str]) -> None:
        self._request = request
        self._trust = trust
        self._status_key = series_key("http_status_code", labels)
        self._expiry_key = series_key("tls_certificate_expiry_seconds", labels)
        self._phase_keys = {phase: series_key("http_duration_seconds", {**labels, "phase": phase}) for phase in PHASES}

    async def ask(self, net: Net, timeout_s: float) -> Outcome:
        """Ask within `timeout_s` seconds in all: name, connection, TLS, answer and body."""
        phases: dict[str, float] = {}
        answer = _Answer()
        try:
            async with asyncio.timeout(timeout_s):
                await self._exchange(net, phases, answer)
        except (aiohttp.ClientError, OSError, ValueError) as error:
            answer.reason, answer.detail = reason_of(error), type(error).__name__
        return self._outcome(net, phases, answer)

    async def _exchange(self, net: Net, phases: dict[str, float], answer: _Answer) -> None:
        request, clock = self._request, net.clock.monotonic
        try:
            async with net.http.request(
                request.method,
                request.url,
                headers=request.headers(),
                allow_redirects=False,
                ssl=self._trust.asking,
                trace_request_ctx=phases,
            ) as response:
                answer.status = response.status
                answer.certificate = _certificate_of(response) if request.secure else None
                begins = clock()
                await _read_some(response)
                phases["read"] = clock() - begins
        except aiohttp.ClientSSLError as error:
            answer.reason, answer.detail = Reason.TLS, type(error).__name__
        if request.secure and answer.certificate is None:
            answer.certificate = await fetch_certificate(request.host, request.port, self._trust.trusting)

    def _outcome(self, net: Net, phases: dict[str, float], answer: _Answer) -> Outcome:
        at = net.clock.now()
        samples = [(self._phase_keys[name], phases[name]) for name in PHASES if name in phases]
        if answer.status:
            samples.append((self._status_key, float(answer.status)))
            if answer.reason is Reason.OK:
                answer.reason, answer.detail = self._judge(answer.status), _("status {status}").format(status=answer.status)
        facts: tuple[tuple[str, str], ...] = ()
        if answer.certificate is not None:
            samples.append((self._expiry_key, answer.certificate.not_after - at / 1000))
            facts = (("tls_names", ", ".join(answer.certificate.names)),)
        keys = b"\n".join(key for key, _value in samples)
        return Outcome(answer.reason, at, keys, tuple(value for _key, value in samples), answer.detail, facts, phases)

    def _judge(self, status: int) -> Reason:
        good = self._request.statuses
        if status in good or (not good and status < 400):
            return Reason.OK
        return Reason.AUTH if status in (401, 407) else Reason.ERROR_STATUS


class _Answer:
    """What came of one request, as far as it came."""

    def __init__(self) -> None:
        self.reason = Reason.OK
        self.detail = ""
        self.status = 0
        self.certificate: Certificate | None = None


def open_session(resolver: Resolver) -> aiohttp.ClientSession:
    """Return the shared session: no cookies, no proxies from the environment, nothing decompressed, no connection kept."""
    trace = aiohttp.TraceConfig()
    trace.on_request_start.append(_mark)
    trace.on_dns_resolvehost_end.append(_resolved)
    trace.on_connection_create_start.append(_mark)
    trace.on_connection_create_end.append(_connected)
    trace.on_request_end.append(_answered)
    connector = aiohttp.TCPConnector(
        limit=0, force_close=True, use_dns_cache=False, resolver=_Names(resolver), enable_cleanup_closed=False
    )
    return aiohttp.ClientSession(
        connector=connector,
        cookie_jar=aiohttp.DummyCookieJar(),
        trust_env=False,
        auto_decompress=False,
        timeout=aiohttp.ClientTimeout(total=None, connect=None, sock_connect=None, sock_read=None),
        trace_configs=[trace],
    )


class _Names(AbstractResolver):
    """aiohttp's way to names, through the one memory that all probes share."""

    def __init__(self, resolver: Resolver) -> None:
        self._resolver = resolver

    async def resolve(self, host: str, port: int = 0, family: int = 0) -> list[ResolveResult]:
        addresses = await self._resolver.addresses(host, 3600)
        if not addresses:
            raise OSError(None, "no address")
        return [
            ResolveResult(hostname=host, host=address, port=port, family=_family(address), proto=0, flags=0)
            for address in addresses
        ]

    async def close(self) -> None:
        """Nothing is held here."""


def _family(address: str) -> int:
    """Return the address family of a numeric address."""
    return socket.AF_INET6 if ":" in address else socket.AF_INET


def _certificate_of(response: aiohttp.ClientResponse) -> Certificate | None:
    connection = response.connection
    transport = connection.transport if connection is not None else None
    shown = transport.get_extra_info("ssl_object") if transport is not None else None
    return read_certificate(shown.getpeercert(binary_form=True)) if shown is not None else None


async def _read_some(response: aiohttp.ClientResponse) -> None:
    """Read the body to its end or to 64 KB; what is beyond is none of our business."""
    left = MOST_BODY_BYTES
    while left > 0:
        data = await response.content.read(min(left, 16 << 10))
        if not data:
            return
        left -= len(data)


async def _mark(_session: aiohttp.ClientSession, trace: SimpleNamespace, _params: object) -> None:
    trace.began = asyncio.get_running_loop().time()


async def _phase(trace: SimpleNamespace, name: str) -> None:
    now = asyncio.get_running_loop().time()
    trace.trace_request_ctx[name] = now - getattr(trace, "began", now)
    trace.began = now


async def _resolved(_session: aiohttp.ClientSession, trace: SimpleNamespace, _params: object) -> None:
    await _phase(trace, "resolve")


async def _connected(_session: aiohttp.ClientSession, trace: SimpleNamespace, _params: object) -> None:
    await _phase(trace, "connect")


async def _answered(_session: aiohttp.ClientSession, trace: SimpleNamespace, _params: object) -> None:
    await _phase(trace, "answer")
