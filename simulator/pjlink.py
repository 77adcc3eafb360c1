"""PJLink class 1 and 2 as a projector speaks it (JBMIA PJLink 1.04 and 2.10); MD5 authentication with a password."""

from __future__ import annotations

import hashlib
import hmac
import re

from simulator.endpoint import Endpoint
from simulator.templates.projector import Projector

_COMMAND = re.compile(rb"%([12])([A-Za-z0-9]{4}) ([\x20-\x7e]{0,128})")
DIGEST_CHARS = 32
UNDEFINED, OUT_OF_RANGE, UNAVAILABLE = "ERR1", "ERR2", "ERR3"
CLASS_2 = ("SNUM", "SVER", "FILT", "RLMP", "RFIL", "IRES", "RRES", "INNM", "FREZ", "INST")


class PjlinkDialogue:
    """One connection; the digest stands before its first command only."""

    terminator = b"\r"

    def __init__(self, endpoint: Endpoint) -> None:
        """Begin with a fresh random number."""
        assert isinstance(endpoint.model, Projector)
        self._projector = endpoint.model
        self._password = endpoint.credentials.pjlink
        self._salt = f"{endpoint.random.randrange(1 << 32):08x}"
        self._admitted = not self._password

    def greeting(self) -> bytes:
        """Return ``PJLINK 0``, or ``PJLINK 1`` and the random number."""
        return b"PJLINK 0\r" if self._admitted else f"PJLINK 1 {self._salt}\r".encode()

    def body_bytes(self, message: bytes) -> int:
        """Return 0: PJLink has no bodies."""
        return 0

    def answer(self, message: bytes, now: float) -> tuple[bytes, bool]:
        """Return the reply to one command."""
        line = message.rstrip(b"\r\n")
        if not self._admitted:
            digest, line = line[:DIGEST_CHARS], line[DIGEST_CHARS:]
            expected = hashlib.md5(f"{self._salt}{self._password}".encode(), usedforsecurity=False).hexdigest()
            if not hmac.compare_digest(digest.lower(), expected.encode()):
                return b"PJLINK ERRA\r", True
            self._admitted = True
        match = _COMMAND.fullmatch(line)
        if match is None:
            return b"", False  # a line that is no command gets no answer
        level, command, parameter = match[1].decode(), match[2].decode().upper(), match[3].decode()
        value = self._value(level, command, parameter, now)
        return f"%{level}{command}={value}\r".encode(), False

    def _value(self, level: str, command: str, parameter: str, now: float) -> str:
        if not parameter.startswith("?"):
            return self._set(command, parameter)
        if command in CLASS_2 and level != "2" and command != "INST":
            return UNDEFINED
        return self._values(now).get(command, UNDEFINED)

    def _set(self, command: str, parameter: str) -> str:
        if command != "POWR":
            return UNDEFINED
        if parameter not in ("0", "1"):
            return OUT_OF_RANGE
        self._projector.power = int(parameter)
        return "OK"

    def _values(self, now: float) -> dict[str, str]:
        projector = self._projector
        lit = projector.power == 1 and projector.errors["lamp"] < 2
        return {
            "POWR": str(projector.power),
            "LAMP": f"{projector.lamp_hours(now)} {int(lit)}",
            "ERST": projector.error_status(),
            "INPT": "31" if projector.power == 1 else UNAVAILABLE,
            "INST": "11 21 31 32 41 51",
            "AVMT": "30" if projector.power == 1 else UNAVAILABLE,
            "NAME": projector.name,
            "INF1": projector.vendor,
            "INF2": projector.product,
            "INFO": "simulated",
            "CLSS": "2",
            "SNUM": projector.serial,
            "SVER": projector.firmware,
            "FILT": str(projector.lamp_hours(now) // 2),
            "RLMP": "SIM-LAMP",
            "RFIL": "SIM-FILTER",
            "IRES": "1920x1080" if projector.power == 1 else "-",
            "RRES": "1920x1200",
            "INNM": "HDMI 1",
            "FREZ": "0",
        }
