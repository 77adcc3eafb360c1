"""SIP OPTIONS over UDP and TCP as a codec answers it (RFC 3261 section 11.2)."""

from __future__ import annotations

from simulator import header
from simulator.endpoint import Endpoint
from simulator.templates.codec import Codec

REASONS = {200: "OK", 486: "Busy Here", 501: "Not Implemented", 503: "Service Unavailable"}
COPIED = ("via", "from", "call-id", "cseq")
SHORT = {"v": "via", "f": "from", "i": "call-id", "t": "to"}
NAMES = {"via": "Via", "from": "From", "call-id": "Call-ID", "cseq": "CSeq"}


def answer_sip(endpoint: Endpoint, data: bytes, now: float) -> bytes | None:
    """Return the response to one request; None for what is no SIP request."""
    request = header.parse(data.partition(b"\r\n\r\n")[0])
    if request is None or request.version != "SIP/2.0" or not isinstance(endpoint.model, Codec):
        return None
    fields = {SHORT.get(name, name): value for name, value in request.headers.items()}
    if not all(name in fields for name in (*COPIED, "to")):
        return None
    status = endpoint.model.sip_status if request.method == "OPTIONS" else 501
    tag = "" if ";tag=" in fields["to"] else f";tag={endpoint.model.serial}"
    headers = {NAMES[name]: fields[name] for name in COPIED}
    headers |= {"To": fields["to"] + tag, "Allow": "INVITE, ACK, CANCEL, OPTIONS, BYE", "Accept": "application/sdp"}
    headers |= {"User-Agent": f"{endpoint.model.vendor} {endpoint.model.product}/{endpoint.model.firmware}"}
    return header.reply(f"SIP/2.0 {status} {REASONS[status]}", headers)


class SipDialogue:
    """SIP over one TCP connection."""

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
        """Return the response to one request; hang up on what is none."""
        reply = answer_sip(self._endpoint, message, now)
        return reply or b"", reply is None
