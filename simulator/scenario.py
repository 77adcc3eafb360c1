"""Reading a scenario file: the fleet spread out, the timeline in order, every mistake told with its line, all at once."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable, Iterator
from importlib.resources import files
from pathlib import Path

from pydantic import ValidationError

from config.errors import ConfigErrors
from config.language import _
from simulator.action import ACTIONS, classes_with
from simulator.document import Document, Keys
from simulator.raw import RawCredentials, RawDevice, RawScenario, RawStep
from simulator.spec import (
    CredentialsSpec,
    DeviceSpec,
    ExpectedFault,
    LinkSpec,
    PersonaStep,
    PlaceSpec,
    Scenario,
    SnmpSpec,
    StepSpec,
)
from simulator.templates import CLASSES

MAX_DEVICES = 100_000


def shipped_scenario(name: str) -> Path:
    """Return the path of a scenario that comes with the program, such as ``demo``."""
    return Path(str(files("simulator"))) / "scenarios" / f"{name}.yaml"


def load_scenario(path: Path) -> Scenario:
    """Return the scenario of a file.

    Raises:
        ConfigErrors: every mistake, each with file, line, key, what is wrong and what was probably meant.
    """
    document = Document(path)
    try:
        raw = RawScenario.model_validate(document.value)
    except ValidationError as errors:
        raise _noted(document, errors) from None
    scenario = _Reader(document, raw).scenario()
    if document.mistakes:
        raise document.errors()
    return scenario


def _noted(document: Document, errors: ValidationError) -> ConfigErrors:
    for error in errors.errors(include_url=False, include_context=False):
        text = error["msg"].removeprefix("Value error, ")
        if error["type"] == "extra_forbidden":
            text = _("unknown key")
        elif error["type"] == "missing":
            text = _("is missing")
        document.wrong(tuple(error["loc"]), text)
    return document.errors()


class _Reader:
    """Turns the raw file into records and collects what is wrong with it."""

    def __init__(self, document: Document, raw: RawScenario) -> None:
        self._document = document
        self._raw = raw
        self._rows: dict[str, int] = {}  # device -> its row in the fleet, for errors
        self._taken: set[str] = set()  # addresses
        self.devices: dict[str, DeviceSpec] = {}

    def scenario(self) -> Scenario:
        raw = self._raw
        for row, device in enumerate(raw.fleet):
            self._add(row, device)
        self._check_names()
        timeline = sorted(self._timeline(), key=lambda step: step.at_s)
        for part in ("expect", "persona"):
            for row, entry in enumerate(getattr(raw, part)):
                self._known(entry.device, (part, row, "device"))
        return Scenario(
            name=raw.name,
            path=self._document.path,
            devices=self.devices,
            timeline=tuple(timeline),
            credentials={name: _credentials(name, entry) for name, entry in raw.credentials.items()},
            places=tuple(PlaceSpec(place.name, place.title, place.region) for place in raw.places),
            site=raw.site,
            agent=raw.agent,
            collector=raw.collector,
            ports={str(protocol): port for protocol, port in raw.ports.items()},
            seed=raw.seed,
            certificate_days=raw.certificate_days,
            expect=tuple(
                ExpectedFault(f.device, f.problem, f.level, f.state, None if f.affected is None else tuple(f.affected))
                for f in raw.expect
            ),
            persona=tuple(PersonaStep(p.device, p.step, p.after, p.person, p.note) for p in raw.persona),
        )

    def _add(self, row: int, raw: RawDevice) -> None:
        wrong = self._document.wrong
        if raw.device_class not in CLASSES:
            message = _("{name} is no device class").format(name=raw.device_class)
            self._document.unknown(("fleet", row, "class"), message, raw.device_class, list(CLASSES))
        if raw.count > 1 and "{n}" not in raw.name:
            wrong(("fleet", row, "name"), _("a name for several devices holds {n}").format(n="{n}"))
        if len(self.devices) + raw.count > MAX_DEVICES:
            wrong(("fleet", row, "count"), _("more than {count} devices").format(count=MAX_DEVICES))
            return
        for number, address in zip(range(1, raw.count + 1), _addresses(raw.address), strict=False):
            device = _device(raw, number, address)
            if device.name in self.devices:
                wrong(("fleet", row, "name"), _("{name} is there twice").format(name=device.name))
            if address in self._taken:
                wrong(("fleet", row, "address"), _("{address} is another device's").format(address=address))
            self.devices[device.name] = device
            self._rows[device.name] = row
            self._taken.add(address)

    def _known(self, name: str, keys: Keys) -> bool:
        if name in self.devices:
            return True
        message = _("{name} is no device of the fleet").format(name=name)
        self._document.unknown(keys, message, name, list(self.devices))
        return False

    def _check_names(self) -> None:
        for device in self.devices.values():
            keys: Keys = ("fleet", self._rows[device.name])
            for link in device.upstream:
                if self._known(link.device, (*keys, "upstream")) and link.port:
                    self._check_port(link.device, link.port, (*keys, "upstream"))
            for fed in device.powers:
                self._known(fed, (*keys, "powers"))
            if device.credentials and device.credentials not in self._raw.credentials:
                message = _("there are no credentials {name}").format(name=device.credentials)
                self._document.unknown((*keys, "credentials"), message, device.credentials, list(self._raw.credentials))
            if device.powers and device.device_class != "ups":
                self._document.wrong((*keys, "powers"), _("only a ups powers devices"))

    def _check_port(self, device: str, port: str, keys: Keys) -> None:
        spec = self.devices[device]
        model = CLASSES.get(spec.device_class)
        if model is not None and port not in model.port_names(spec):
            ports = _range(model.port_names(spec))
            message = _("{device} has no port {port}; its ports are {ports}").format(device=device, port=port, ports=ports)
            self._document.wrong(keys, message)

    def _timeline(self) -> Iterator[StepSpec]:
        for row, raw in enumerate(self._raw.timeline):
            if self._check_step(row, raw):
                for device in raw.on:
                    yield from _steps(raw, device)

    def _check_step(self, row: int, raw: RawStep) -> bool:
        keys: Keys = ("timeline", row)
        action = ACTIONS.get(raw.do)
        if action is None:
            self._document.unknown((*keys, "do"), _("{word} is no action").format(word=raw.do), raw.do, list(ACTIONS))
            return False
        before = self._document.mistakes
        given = {"for" if name == "lasts" else name for name in raw.model_fields_set} - {"at", "do", "on"}
        for name in sorted(set(action.needs) - given):
            self._document.wrong(keys, _("{action} needs {key}").format(action=raw.do, key=name))
        for name in sorted(given - set(action.needs) - set(action.admits)):
            self._document.wrong((*keys, name), _("{action} does not take {key}").format(action=raw.do, key=name))
        if action.ratio and raw.value is not None and not 0 <= raw.value <= 1:
            self._document.wrong((*keys, "value"), _("a share lies between 0 and 1"))
        for device in raw.on:
            if self._known(device, (*keys, "on")):
                self._check_target(keys, raw, self.devices[device])
        return self._document.mistakes == before

    def _check_target(self, keys: Keys, raw: RawStep, device: DeviceSpec) -> None:
        classes = classes_with(raw.do)
        if device.device_class not in classes:
            message = _("{name} is a {found}; {action} is for {classes}").format(
                name=device.name, found=device.device_class, action=raw.do, classes=", ".join(classes)
            )
            self._document.wrong((*keys, "on"), message)
        elif raw.port is not None:
            self._check_port(device.name, raw.port, (*keys, "port"))
        elif raw.part is not None:
            self._check_part(device, raw.part, raw.do, (*keys, "part"))
        if raw.to is not None and raw.to not in {link.device for link in device.upstream}:
            message = _("{name} is no upstream of {device}").format(name=raw.to, device=device.name)
            self._document.wrong((*keys, "to"), message)
        if raw.do.startswith("link-") and not device.upstream:
            message = _("{device} has no upstream whose line could be cut").format(device=device.name)
            self._document.wrong((*keys, "on"), message)

    def _check_part(self, device: DeviceSpec, part: str, do: str, keys: Keys) -> None:
        parts = CLASSES[device.device_class].parts(device, do)
        if part not in parts:
            message = _("{device} has no {part}; there are {parts}").format(device=device.name, part=part, parts=_range(parts))
            self._document.wrong(keys, message)


def _range(names: Iterable[str]) -> str:
    listed = list(names)
    return ", ".join(listed) if len(listed) <= 6 else f"{listed[0]} to {listed[-1]}"


def _addresses(first: str) -> Iterator[str]:
    """Yield consecutive addresses, leaving out those that end in 0 or 255."""
    number = int(ipaddress.IPv4Address(first))
    while number < int(ipaddress.IPv4Address("127.255.255.255")):
        if number & 0xFF not in (0, 255):
            yield str(ipaddress.IPv4Address(number))
        number += 1


def _device(raw: RawDevice, number: int, address: str) -> DeviceSpec:
    def filled(text: str) -> str:
        return text.replace("{n}", str(number))

    return DeviceSpec(
        name=filled(raw.name),
        device_class=raw.device_class,
        address=address,
        credentials=raw.credentials,
        role=raw.role,
        place=filled(raw.place),
        upstream=tuple(LinkSpec(filled(link.device), filled(link.port)) for link in raw.upstream),
        powers=tuple(filled(name) for name in raw.powers),
        reach=tuple(raw.reach),
        ports=raw.ports,
        unused=min(raw.unused, raw.ports),
        runtime_s=raw.runtime,
        lamp_hours=raw.lamp_hours,
    )


def _steps(raw: RawStep, device: str) -> Iterator[StepSpec]:
    """Yield the single steps of one entry for one device: a flap is many, a loss with an end is two."""
    part = raw.part or ""

    def step(at_s: float, do: str, value: float | None) -> StepSpec:
        return StepSpec(at_s, do, device, raw.port or "", raw.to or "", part, value or 0.0, raw.faster or 1.0)

    if raw.do == "port-flaps":
        assert raw.every is not None
        assert raw.lasts is not None
        half = max(raw.every / 2, 0.05)
        for turn in range(max(1, int(raw.lasts / (2 * half)))):
            yield step(raw.at + turn * 2 * half, "port-down", None)
            yield step(raw.at + (turn * 2 + 1) * half, "port-up", None)
        return
    yield step(raw.at, raw.do, raw.value)
    if raw.lasts is not None:
        yield step(raw.at + raw.lasts, raw.do, 0.0)


def _credentials(name: str, raw: RawCredentials) -> CredentialsSpec:
    snmp = None
    if raw.snmp is not None:
        auth, priv = (next(iter(pair.items()), None) for pair in (raw.snmp.auth, raw.snmp.priv))
        snmp = SnmpSpec(
            raw.snmp.version,
            raw.snmp.community,
            raw.snmp.user,
            (str(auth[0]), auth[1]) if auth else None,
            (str(priv[0]), priv[1]) if priv else None,
        )
    http = (raw.http.username, raw.http.password) if raw.http is not None else None
    return CredentialsSpec(name, snmp, raw.pjlink.password if raw.pjlink is not None else "", http)
