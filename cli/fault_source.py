"""Where `watchkeeper faults` gets faults: the collector's HTTP API, or its database (read only) when it does not run."""

from __future__ import annotations

import json
import sqlite3
import ssl
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from collector.fault_json import fault_json
from collector.store import faults as store
from config.errors import shown
from config.language import _, current
from config.site import Site

DATABASE = "watchkeeper.db"
TOKEN_FILE = "operator.token"  # noqa: S105 - a file's name
TIMEOUT_S = 10.0
MAX_ANSWER_BYTES = 256 << 20
MOST = 100_000  # faults in one list

Record = dict[str, Any]


class Refused(Exception):
    """The collector answered, and said no; the text says why."""


class Unreachable(Exception):
    """The collector did not answer, or not sensibly; the text says what was tried."""


class BadAccess(Exception):
    """The address or the token is wrong; the text says what to do."""


@dataclass(frozen=True, slots=True)
class Access:
    """How to reach one collector. `ca` is a certificate to trust for it alone."""

    url: str
    token: str
    ca: Path | None = None


def access(site: Site | None, url: str, token_file: Path | None) -> Access:
    """Return how to reach the collector that the site file or the options name.

    Raises:
        BadAccess: no address, or a token file that cannot be read.
    """
    if not url and site is None:
        raise BadAccess(_("give -c SITE, or --url with --token-file"))
    path = token_file or (site.collector.data / TOKEN_FILE if site else None)
    token = ""
    if path is not None and (token_file is not None or path.exists()):
        try:
            token = path.read_text(encoding="utf-8").strip()
        except (OSError, UnicodeDecodeError) as error:
            raise BadAccess(_("token file {path} cannot be read: {error}").format(path=path, error=error)) from None
    if url:
        if urllib.parse.urlsplit(url).scheme not in ("http", "https"):
            raise BadAccess(_("--url {url}: expected http:// or https://").format(url=shown(url)))
        return Access(url.rstrip("/"), token)
    assert site is not None
    return Access(address_of(site), token, site.collector.tls_certificate)


def address_of(site: Site) -> str:
    """Return the URL of a site's own collector; one that listens everywhere is asked on loopback."""
    host, _colon, port = site.collector.listen.rpartition(":")
    host = {"": "127.0.0.1", "0.0.0.0": "127.0.0.1", "[::]": "[::1]"}.get(host, host)  # noqa: S104
    return f"{'https' if site.collector.tls_certificate else 'http'}://{host}:{port}"


class Api:
    """The collector's HTTP API, asked one question at a time."""

    def __init__(self, access: Access, timeout_s: float = TIMEOUT_S) -> None:
        """Ask nothing yet."""
        self._access, self._timeout_s = access, timeout_s
        handlers: list[urllib.request.BaseHandler] = [_NoRedirect()]
        if access.url.startswith("https:"):
            handlers.append(urllib.request.HTTPSHandler(context=_tls(access.ca)))
        if access.ca is not None or "127.0.0.1" in access.url or "localhost" in access.url:
            handlers.append(urllib.request.ProxyHandler({}))
        self._opener = urllib.request.build_opener(*handlers)

    def list(self, state: str, level: str) -> list[Record]:
        """Return the faults of a state and level, newest first."""
        wanted = {"state": state, "limit": str(MOST), **({"level": level} if level else {})}
        query = urllib.parse.urlencode(wanted)
        answer = self._ask("GET", f"/api/v1/faults?{query}")
        found = answer.get("faults") if isinstance(answer, dict) else answer
        if not isinstance(found, list):
            raise Unreachable(_("{url} is not a Watchkeeper collector").format(url=self._access.url))
        return found

    def get(self, fault_id: str) -> Record:
        """Return one fault; Refused if there is none of this id."""
        return self._one(self._ask("GET", f"/api/v1/faults/{urllib.parse.quote(fault_id, safe='')}"))

    def act(self, fault_id: str, step: str, fields: Mapping[str, str]) -> Record:
        """Take a step with a fault, and return it as it is then; Refused where it is not allowed."""
        path = f"/api/v1/faults/{urllib.parse.quote(fault_id, safe='')}/{step}"
        return self._one(self._ask("POST", path, dict(fields)))

    def _one(self, answer: object) -> Record:
        if not isinstance(answer, dict):
            raise Unreachable(_("{url} is not a Watchkeeper collector").format(url=self._access.url))
        return answer

    def _ask(self, method: str, path: str, body: Mapping[str, str] | None = None) -> object:
        """Ask once.

        Raises:
            Unreachable: no connection, no answer in time, an answer of another program, a failure of the server.
            Refused: 4xx.
            BadAccess: 401, 403.
        """
        headers = {"Accept": "application/json", "Accept-Language": current(), "Content-Type": "application/json"}
        if self._access.token:
            headers["Authorization"] = f"Bearer {self._access.token}"
        data = json.dumps(body).encode() if body is not None else None
        request = urllib.request.Request(self._access.url + path, data, headers, method=method)  # noqa: S310
        try:
            with self._opener.open(request, timeout=self._timeout_s) as answer:
                return json.loads(answer.read(MAX_ANSWER_BYTES))
        except urllib.error.HTTPError as error:
            with error:
                raise self._refusal(error) from None
        except (OSError, ValueError, RecursionError) as error:
            reason = getattr(error, "reason", None) or error
            reason = _(reason.strerror or str(reason)) if isinstance(reason, OSError) else reason
            text = _("the collector at {url} does not answer: {error}").format(url=self._access.url, error=reason)
            raise Unreachable(text) from None

    def _refusal(self, error: urllib.error.HTTPError) -> Exception:
        if error.code in (401, 403):
            hint = _("the collector at {url} refused the token; it is in {file} of the collector's data folder")
            return BadAccess(hint.format(url=self._access.url, file=TOKEN_FILE))
        if error.code >= 500 or error.code < 400:
            return Unreachable(_("the collector at {url} failed: HTTP {code}").format(url=self._access.url, code=error.code))
        return Refused(_said(error))


class _NoRedirect(urllib.request.HTTPRedirectHandler):
    """A bearer token goes to the address it is meant for, and nowhere else."""

    def redirect_request(self, *args: Any, **kwargs: Any) -> None:
        return None


def _tls(ca: Path | None) -> ssl.SSLContext:
    context = ssl.create_default_context(cafile=str(ca) if ca else None)
    if ca is not None:
        context.check_hostname = False  # the certificate itself is what is trusted, whatever name it bears
    return context


def _said(error: urllib.error.HTTPError) -> str:
    """Return what a refusal's body says, else its status line."""
    try:
        body = json.loads(error.read(1 << 20))
    except (OSError, ValueError, RecursionError):
        return f"HTTP {error.code} {error.reason}"
    if not isinstance(body, dict):
        return f"HTTP {error.code} {error.reason}"
    text = body.get("error") or body.get("detail") or body.get("message") or f"HTTP {error.code}"
    allowed = body.get("allowed")
    if isinstance(allowed, list) and allowed and not any(str(step) in str(text) for step in allowed):
        return _("{text}; allowed: {steps}").format(text=text, steps=", ".join(map(str, allowed)))
    return str(text)


class Stored:
    """The collector's database, read only: for looking when the collector does not run."""

    def __init__(self, path: Path) -> None:
        """Open the database; Unreachable where there is none or it cannot be read."""
        if not path.is_file():
            raise Unreachable(_("there is no database {path}").format(path=path))
        self._path = path

    def list(self, state: str, level: str) -> list[Record]:
        """Return the faults of a state and level, newest first."""
        return [fault_json(view) for view in self._read(lambda db: store.list_faults(db, state, level, MOST))]

    def get(self, fault_id: str) -> Record:
        """Return one fault; Refused if there is none of this id."""
        view = self._read(lambda db: store.get_fault(db, fault_id))
        if view is None:
            raise Refused(_("there is no fault {id}").format(id=shown(fault_id)))
        return fault_json(view)

    def _read(self, read: Any) -> Any:
        try:
            connection = sqlite3.connect(f"{self._path.resolve().as_uri()}?mode=ro", uri=True, timeout=TIMEOUT_S)
            try:
                return read(connection)
            finally:
                connection.close()
        except sqlite3.Error as error:
            raise Unreachable(_("database {path}: {error}").format(path=self._path, error=error)) from None
