"""The question `pjlink`: a projector's power, errors, lamps and filter, and what it calls itself (PJLink class 1 and 2).

aiopjlink speaks the protocol; the deadline, the caps and the reading of values are ours. Only questions are sent.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import aiopjlink
from aiopjlink import PJClass, PJLink

from config.language import _
from config.profile import Step
from config.secret import Secret
from config.site import Device, Site
from probes.connect import reason_of_os_error
from probes.labels import base_labels
from probes.outcome import Outcome
from probes.reason import Reason
from probes.sample import series_key
from probes.step import Options
from probes.text import clean

if TYPE_CHECKING:
    from probes.net import Net

POWER = ("standby", "on", "cooling", "warming")  # in the order of POWR's digits
PARTS = ("fan", "lamp", "temperature", "cover", "filter", "other")  # in the order of ERST's digits
TEXTS = (("name", "NAME"), ("manufacturer", "INF1"), ("product", "INF2"), ("input", "INPT"))
TEXTS_CLASS_2 = (("serial", "SNUM"), ("firmware", "SVER"))
MOST_LAMPS = 8
MOST_NOTICES = 20
TEXT_LIMIT = 128
MOST_HOURS = 1_000_000

_DECLINED = (aiopjlink.PJLinkERR1, aiopjlink.PJLinkERR2, aiopjlink.PJLinkERR3, aiopjlink.PJLinkERR4)

_REASONS: tuple[tuple[type[BaseException], Reason], ...] = (
    (TimeoutError, Reason.TIMEOUT),
    (aiopjlink.PJLinkPassword, Reason.AUTH),
    (aiopjlink.PJLinkConnectionClosed, Reason.PROTOCOL),
    (_DECLINED[0], Reason.ERROR_STATUS),
    (_DECLINED[1], Reason.ERROR_STATUS),
    (_DECLINED[2], Reason.ERROR_STATUS),
    (_DECLINED[3], Reason.ERROR_STATUS),
    (aiopjlink.PJLinkProjectorError, Reason.ERROR_STATUS),
    (aiopjlink.PJLinkException, Reason.PROTOCOL),
    (asyncio.LimitOverrunError, Reason.TOO_BIG),
    (ConnectionError, Reason.PROTOCOL),
    (ValueError, Reason.PROTOCOL),
    (IndexError, Reason.PROTOCOL),
    (EOFError, Reason.PROTOCOL),
)


def reason_of(error: BaseException) -> Reason | None:
    """Return the reason of an exception of aiopjlink or its stream; None for a bug."""
    if isinstance(error, aiopjlink.PJLinkNoConnection):
        below = error.__context__
        return reason_of_os_error(below) if isinstance(below, OSError) else Reason.TIMEOUT
    found = next((reason for kind, reason in _REASONS if isinstance(error, kind)), None)
    return reason_of_os_error(error) if found is None and isinstance(error, OSError) else found


def compile_pjlink(site: Site, device: Device, step: Step) -> PjlinkQuestion:
    """Compile a step. Options: `port` (else the credentials', else 4352), `identity` (ask names too; default true).

    Raises:
        OptionError: an option is wrong or unknown.
    """
    credentials = device.credentials.pjlink if device.credentials is not None else None
    usual = credentials.port if credentials is not None else 4352
    options = Options(step)
    port = options.integer("port", device.ports.get("pjlink", usual), 1, 65535)
    identity = options.flag("identity", True)
    options.done()
    password = credentials.password if credentials is not None else None
    return PjlinkQuestion(device.address, port, password, identity, _Keys(base_labels(site, device)))


class _Keys:
    """The series keys of one projector, made once."""

    def __init__(self, labels: dict[str, str]) -> None:
        self.power = [series_key("projector_power", {**labels, "state": state}) for state in POWER]
        self.errors = [series_key("projector_error", {**labels, "part": part}) for part in PARTS]
        self.lamps = [series_key("projector_lamp_seconds_total", {**labels, "lamp": str(n + 1)}) for n in range(MOST_LAMPS)]
        self.filter = series_key("projector_filter_seconds_total", labels)


class PjlinkQuestion:
    """One conversation. What the projector declines (ERR1 to ERR4) is left out; the rest is still asked."""

    def __init__(self, host: str, port: int, password: Secret | None, identity: bool, keys: _Keys) -> None:
        self._host = host
        self._port = port
        self._password = password
        self._identity = identity
        self._keys = keys

    async def ask(self, net: Net, timeout_s: float) -> Outcome:
        """Connect and ask within `timeout_s` seconds in all; what was answered before a failure is kept."""
        begins = net.clock.monotonic()
        round_ = _Round(self._keys)
        reason, detail = Reason.OK, ""
        try:
            async with asyncio.timeout(timeout_s):
                addresses = await net.resolver.addresses(self._host, timeout_s)
                if not addresses:
                    return Outcome(Reason.RESOLVE, net.clock.now())
                password = self._password.reveal() if self._password is not None else None
                async with _Link(addresses[0], self._port, password, timeout_s) as link:
                    await round_.ask_all(link, self._identity)
        except Exception as error:
            known = reason_of(error)
            if known is None:
                raise
            reason, detail = known, type(error).__name__
            if reason is Reason.AUTH and self._password is None:
                reason, detail = Reason.NO_CREDENTIALS, _("the projector wants a password")
        if reason is Reason.OK and not round_.samples:
            reason, detail = Reason.ERROR_STATUS, _("the projector declined every question")
        keys = b"\n".join(key for key, _value in round_.samples)
        values = tuple(value for _key, value in round_.samples)
        phases = {"all": net.clock.monotonic() - begins}
        return Outcome(reason, net.clock.now(), keys, values, detail, tuple(round_.facts), phases)


class _Round:
    """The questions of one round, in the order of their weight, and what was answered."""

    def __init__(self, keys: _Keys) -> None:
        self._keys = keys
        self.samples: list[tuple[bytes, float]] = []
        self.facts: list[tuple[str, str]] = []

    async def ask_all(self, link: PJLink, identity: bool) -> None:
        """Ask; raises what aiopjlink raises, except for questions that are declined."""
        self._power(await _value(link, "POWR"))
        self._errors(await _value(link, "ERST"))
        self._lamps(await _value(link, "LAMP"))
        if await _value(link, "CLSS") == "2":
            await self._class_2(link, identity)
        if identity:
            for fact, command in TEXTS:
                self._fact(fact, await _value(link, command))

    async def _class_2(self, link: PJLink, identity: bool) -> None:
        hours = _hours(await _value(link, "FILT", PJClass.TWO))
        if hours is not None:
            self.samples.append((self._keys.filter, hours * 3600.0))
        if identity:
            for fact, command in TEXTS_CLASS_2:
                self._fact(fact, await _value(link, command, PJClass.TWO))

    def _fact(self, fact: str, value: str) -> None:
        if value:
            self.facts.append((fact, clean(value, TEXT_LIMIT)))

    def _power(self, value: str) -> None:
        if value in ("0", "1", "2", "3"):
            self.samples += [(key, float(index == int(value))) for index, key in enumerate(self._keys.power)]

    def _errors(self, value: str) -> None:
        if len(value) == len(PARTS) and all(digit in "012" for digit in value):
            self.samples += [(key, float(digit)) for key, digit in zip(self._keys.errors, value, strict=True)]

    def _lamps(self, value: str) -> None:
        words = value.split()
        hours = [_hours(word) for word in words[::2]]
        if words and len(words) % 2 == 0 and len(hours) <= MOST_LAMPS and all(word in ("0", "1") for word in words[1::2]):
            self.samples += [(key, h * 3600.0) for key, h in zip(self._keys.lamps, hours, strict=False) if h is not None]


class _Link(PJLink):
    """aiopjlink's connection, closed also when the greeting fails, deaf to notices, and short of patience with chatter."""

    def __init__(self, address: str, port: int, password: str | None, timeout_s: float) -> None:
        super().__init__(address=address, port=port, password=password, timeout=timeout_s)  # type: ignore[no-untyped-call]

    async def __aenter__(self) -> PJLink:
        try:
            await super().__aenter__()  # type: ignore[no-untyped-call]
        except BaseException:
            await self.__aexit__(None, None, None)
            raise
        return self

    async def __aexit__(self, *_: object) -> None:
        writer, self._reader, self._writer = self._writer, None, None
        if writer is not None:
            writer.transport.abort()

    async def _read_next(self) -> str:
        """Return the next answer; notices that some units send in between (link up, status) and NUL padding are skipped."""
        if self._reader is None:
            raise aiopjlink.PJLinkConnectionClosed("closed")
        for _number in range(MOST_NOTICES):
            try:
                raw: bytes = await self._reader.readuntil(b"\r")
            except asyncio.IncompleteReadError as error:
                raise aiopjlink.PJLinkConnectionClosed("closed") from error
            text = raw.decode("utf-8", "replace").replace("\x00", "").lstrip("\n")
            if not text.upper().startswith(("%2LKUP=", "%2ACKN=")):
                return text
        raise aiopjlink.PJLinkProtocolError("nothing but notices")


async def _value(link: PJLink, command: str, pjclass: PJClass = PJClass.ONE) -> str:
    """Return the value of one question, "" where the projector declines it (a laser has no lamp, a sleeper no input)."""
    try:
        return str(await link.transmit(command, "?", pjclass))
    except _DECLINED:
        return ""


def _hours(text: str) -> int | None:
    if not text.isascii() or not text.isdigit() or len(text) > 7 or int(text) > MOST_HOURS:
        return None
    return int(text)
