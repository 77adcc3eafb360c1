"""RTSP as a camera speaks it (RFC 2326): OPTIONS for all, DESCRIBE with digest where a password is set."""

from __future__ import annotations

import hashlib
import hmac
import re

from simulator import header
from simulator.endpoint import Endpoint

PUBLIC = "OPTIONS, DESCRIBE, SETUP, PLAY, TEARDOWN, GET_PARAMETER"
_FIELD = re.compile(r'(\w+)="([^"]*)"')


class RtspDialogue:
    """One connection; the nonce holds for its life."""

    terminator = b"\r\n\r\n"

    def __init__(self, endpoint: Endpoint) -> None:
        """Begin with a fresh nonce."""
        self._endpoint = endpoint
        self._realm = f"Login to {endpoint.model.serial}"
        self._nonce = f"{endpoint.random.randrange(1 << 128):032x}"

    def greeting(self) -> bytes:
        """Return nothing: the client speaks first."""
        return b""

    def body_bytes(self, message: bytes) -> int:
        """Return the Content-Length."""
        return header.body_bytes(message)

    def answer(self, message: bytes, now: float) -> tuple[bytes, bool]:
        """Return the response to one request."""
        request = header.parse(message)
        if request is None or not request.version.startswith("RTSP/"):
            return header.reply("RTSP/1.0 400 Bad Request", {"CSeq": "0"}), True
        headers = {"CSeq": request.headers.get("cseq", "0"), "Server": "simulated"}
        if request.method == "OPTIONS":
            return header.reply("RTSP/1.0 200 OK", {**headers, "Public": PUBLIC}), False
        if request.method != "DESCRIBE":
            return header.reply("RTSP/1.0 501 Not Implemented", headers), False
        if not self._admits(request):
            challenge = f'Digest realm="{self._realm}", nonce="{self._nonce}"'
            return header.reply("RTSP/1.0 401 Unauthorized", {**headers, "WWW-Authenticate": challenge}), False
        if not getattr(self._endpoint.model, "streaming", False):
            return header.reply("RTSP/1.0 503 Service Unavailable", headers), False
        return header.reply("RTSP/1.0 200 OK", {**headers, "Content-Type": "application/sdp"}, _SDP), False

    def _admits(self, request: header.Request) -> bool:
        login = self._endpoint.credentials.http
        if login is None:
            return True
        scheme, _space, rest = request.headers.get("authorization", "").partition(" ")
        given = dict(_FIELD.findall(rest))
        if scheme.lower() != "digest" or given.get("nonce") != self._nonce or given.get("uri") != request.target:
            return False
        secret = _md5(f"{login[0]}:{self._realm}:{login[1]}")
        expected = _md5(f"{secret}:{self._nonce}:{_md5(f'{request.method}:{request.target}')}")
        return given.get("username") == login[0] and hmac.compare_digest(given.get("response", ""), expected)


def _md5(text: str) -> str:
    return hashlib.md5(text.encode(), usedforsecurity=False).hexdigest()


_SDP = (
    b"v=0\r\no=- 0 0 IN IP4 127.0.0.1\r\ns=simulated\r\nt=0 0\r\n"
    b"m=video 0 RTP/AVP 96\r\na=rtpmap:96 H264/90000\r\na=framerate:25\r\n"
)
