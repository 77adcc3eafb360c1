"""Where batches go: a sink takes frames and returns when the collector has committed them. Decides nothing about retrying."""

from __future__ import annotations

import json
import ssl
from collections.abc import Sequence
from pathlib import Path
from typing import Protocol

import aiohttp

from config.secret import Secret
from probes.text import DETAIL, clean

INGEST_PATH = "/api/v1/ingest"
CONTENT_TYPE = "application/x-watchkeeper-frames"
DEADLINE_S = 15.0
RESPONSE_BYTES = 64 << 10
LONGEST_RETRY_AFTER_S = 300.0
UNAUTHORISED_RETRY_S = 120.0

UNAUTHORISED, CONFLICT, REJECTED, STRANGER = "unauthorised", "epoch-conflict", "rejected", "no-collector"


class DeliveryError(Exception):
    """The collector did not take the frames.

    `reason`: ``network``, ``timeout``, ``tls``, ``busy`` (429, 503), ``server`` (5xx), ``redirected``, ``unauthorised``,
    ``no-collector`` (what answered is none), ``epoch-conflict`` (another agent uses this name, or this spool was set back),
    ``rejected`` (it will never take them).
    `retry_after_s`: the shortest time to wait, 0 to leave it to the sender.
    """

    def __init__(self, reason: str, retry_after_s: float = 0.0, detail: str = "") -> None:
        super().__init__(f"{reason}: {detail}" if detail else reason)
        self.reason = reason
        self.retry_after_s = retry_after_s
        self.detail = detail


class Sink(Protocol):
    """A collector, near or far."""

    async def deliver(self, frames: Sequence[bytes]) -> None:
        """Hand over whole wire frames (none at all: a sign of life). Returns after the commit.

        Raises:
            DeliveryError: not committed, or not known to be.
        """
        ...


class HttpSink:
    """Posts frames to a collector. One deadline for everything, TLS verified, no redirects, a bounded response."""

    def __init__(self, collector: str, token: Secret | None, ca: Path | None = None, deadline_s: float = DEADLINE_S) -> None:
        """`collector` is the collector's base URL. Raises OSError or ssl.SSLError if `ca` cannot be read."""
        self._url = collector.rstrip("/") + INGEST_PATH
        self._token = token
        self._deadline_s = deadline_s
        self._tls = ssl.create_default_context(cafile=str(ca) if ca else None) if collector.startswith("https:") else None
        self._session: aiohttp.ClientSession | None = None

    async def deliver(self, frames: Sequence[bytes]) -> None:
        """Post the frames. Raises DeliveryError."""
        try:
            await self._post(b"".join(frames))
        except TimeoutError:
            raise DeliveryError("timeout", detail=f"no answer in {self._deadline_s:g} s") from None
        except aiohttp.ClientConnectorError as error:  # names host and port, and what is wrong with the certificate
            secure = isinstance(error, aiohttp.ClientSSLError)
            raise DeliveryError("tls" if secure else "network", detail=clean(str(error), DETAIL)) from None
        except aiohttp.ClientSSLError as error:
            raise DeliveryError("tls", detail=type(error).__name__) from None
        except (aiohttp.ClientError, OSError, ValueError) as error:
            raise DeliveryError("network", detail=type(error).__name__) from None

    async def close(self) -> None:
        """Close the connections."""
        if self._session is not None:
            await self._session.close()
            self._session = None

    async def _post(self, body: bytes) -> None:
        if self._session is None:
            deadline = aiohttp.ClientTimeout(total=self._deadline_s)
            self._session = aiohttp.ClientSession(timeout=deadline, cookie_jar=aiohttp.DummyCookieJar(), auto_decompress=False)
        headers = {"Content-Type": CONTENT_TYPE, "Accept-Encoding": "identity"}
        if self._token is not None:
            headers["Authorization"] = f"Bearer {self._token.reveal()}"
        tls = self._tls if self._tls is not None else True
        async with self._session.post(self._url, data=body, headers=headers, allow_redirects=False, ssl=tls) as response:
            answer = b""
            while len(answer) < RESPONSE_BYTES and (part := await response.content.read(RESPONSE_BYTES)):
                answer += part
            _check(response.status, response.headers.get("Retry-After", ""), answer)


def _object(answer: bytes) -> dict[str, object]:
    try:
        found = json.loads(answer)
    except (ValueError, RecursionError):
        return {}
    return found if isinstance(found, dict) else {}


def _said(answer: bytes) -> str:
    """Return what the collector says about a refusal, empty if it says nothing sensible. The text is harmless to log."""
    words = _object(answer).get("detail")
    return clean(words, DETAIL) if isinstance(words, str) else ""


def _check(status: int, retry_after: str, answer: bytes = b"") -> None:
    """Raise the DeliveryError that an answer means; nothing for a receipt, which only a collector gives."""
    if 200 <= status < 300:
        if {"accepted", "duplicate"} <= _object(answer).keys():
            return
        raise DeliveryError(STRANGER, UNAUTHORISED_RETRY_S, f"HTTP {status} without a receipt")
    said = _said(answer)
    detail = f"HTTP {status}, {said}" if said else f"HTTP {status}"
    if status in (401, 403):
        raise DeliveryError(UNAUTHORISED, UNAUTHORISED_RETRY_S, detail)
    if status == 409:
        raise DeliveryError(CONFLICT, UNAUTHORISED_RETRY_S, detail)
    if status in (400, 413, 415, 422):
        raise DeliveryError(REJECTED, 0.0, detail)
    if status in (408, 425, 429, 503):
        wait = float(retry_after) if retry_after.isascii() and retry_after.isdigit() else 0.0
        raise DeliveryError("busy", min(wait, LONGEST_RETRY_AFTER_S), detail)
    if 300 <= status < 400:
        raise DeliveryError("redirected", UNAUTHORISED_RETRY_S, detail)
    raise DeliveryError("server", 0.0, detail)
