"""Web pages of cameras, recorders, codecs and servers: a front page for all, ISAPI status pages on a recorder."""

from __future__ import annotations

import base64
import hmac
from html import escape

from simulator import header
from simulator.endpoint import Endpoint
from simulator.templates.nvr import Nvr

XMLNS = 'xmlns="http://www.hikvision.com/ver20/XMLSchema"'
STORAGE, CHANNELS = "/ISAPI/ContentMgmt/Storage", "/ISAPI/ContentMgmt/InputProxy/channels/status"


class HttpDialogue:
    """One connection, one request: the server closes after its answer."""

    terminator = b"\r\n\r\n"

    def __init__(self, endpoint: Endpoint) -> None:
        """Begin."""
        self._endpoint = endpoint

    def greeting(self) -> bytes:
        """Return nothing: the client speaks first."""
        return b""

    def body_bytes(self, message: bytes) -> int:
        """Return the Content-Length."""
        return header.body_bytes(message)

    def answer(self, message: bytes, now: float) -> tuple[bytes, bool]:
        """Return the page."""
        request = header.parse(message)
        if request is None:
            return self._page("400 Bad Request", "text/plain", b"bad request\n"), True
        if request.method not in ("GET", "HEAD", "POST"):
            return self._page("405 Method Not Allowed", "text/plain", b"method not allowed\n"), True
        path = request.target.partition("?")[0]
        if path != "/" and not self._admits(request):
            challenge = {"WWW-Authenticate": 'Basic realm="simulated"', "Connection": "close"}
            return header.reply("HTTP/1.1 401 Unauthorized", challenge), True
        page = self._body(path)
        status = "200 OK" if page is not None else "404 Not Found"
        kind, body = page or ("text/plain", b"not found\n")
        return self._page(status, kind, body, send_body=request.method != "HEAD"), True

    def _admits(self, request: header.Request) -> bool:
        login = self._endpoint.credentials.http
        if login is None:
            return True
        expected = "Basic " + base64.b64encode(":".join(login).encode()).decode()
        return hmac.compare_digest(request.headers.get("authorization", "").encode(), expected.encode())

    def _body(self, path: str) -> tuple[str, bytes] | None:
        model = self._endpoint.model
        if path == "/":
            title = escape(f"{model.vendor} {model.product}: {model.name}")
            return "text/html; charset=utf-8", f"<!doctype html><title>{title}</title><h1>{title}</h1>\n".encode()
        if isinstance(model, Nvr) and path == STORAGE:
            return "application/xml", _storage(model)
        if isinstance(model, Nvr) and path == CHANNELS:
            return "application/xml", _channels(model)
        return None

    def _page(self, status: str, kind: str, body: bytes, *, send_body: bool = True) -> bytes:
        headers = {"Server": "simulated", "Content-Type": kind, "Connection": "close"}
        whole = header.reply(f"HTTP/1.1 {status}", headers, body)
        return whole if send_body else whole[: len(whole) - len(body)]


def _storage(model: Nvr) -> bytes:
    disks = "".join(
        f"<hdd><id>{number}</id><hddName>hdd{number}</hddName><status>{'ok' if good else 'error'}</status>"
        "<capacity>3815447</capacity><freeSpace>0</freeSpace></hdd>"
        for number, good in model.disks_ok.items()
    )
    return f'<?xml version="1.0" encoding="UTF-8"?>\n<storage {XMLNS}><hddList>{disks}</hddList></storage>\n'.encode()


def _channels(model: Nvr) -> bytes:
    rows = "".join(
        f"<InputProxyChannelStatus><id>{number}</id><online>{str(good).lower()}</online></InputProxyChannelStatus>"
        for number, good in model.recording.items()
    )
    head = '<?xml version="1.0" encoding="UTF-8"?>\n'
    return f"{head}<InputProxyChannelStatusList {XMLNS}>{rows}</InputProxyChannelStatusList>\n".encode()
