"""The keys of the site file itself and of the files it includes. The one table that loader, JSON Schema and reference share."""

from __future__ import annotations

import glob
import os
import zoneinfo
from dataclasses import dataclass, field
from pathlib import Path

from config.agent_keys import AGENT
from config.collector_keys import COLLECTOR
from config.credentials_keys import CREDENTIALS
from config.device_keys import DEVICES, REGIONS, Draft
from config.errors import shown
from config.kind import NAME, PLACE_NAME, OneOf, ScalarKind, Schema, Text, Unfit
from config.language import LANGUAGES, _, noted
from config.node import Mapping, Node
from config.reading import Reading
from config.shape import Anything, Key, ListOf, MapOf, Table, Values
from config.site import Credentials, Place

CONTRACTS = Path(__file__).with_name("contracts")


@dataclass(frozen=True)
class TimeZone(ScalarKind):
    """A name of the IANA time zone database."""

    label: str = noted("a time zone such as Asia/Shanghai")

    def parse(self, text: str, reading: Reading) -> str:
        """Return the name; one that the database does not hold is wrong."""
        try:
            zoneinfo.ZoneInfo(text)
        except (zoneinfo.ZoneInfoNotFoundError, ValueError, OSError):
            message = _("'{text}' is not a time zone such as Asia/Shanghai").format(text=shown(text))
            raise Unfit(message, reading.suggest(text, sorted(zoneinfo.available_timezones()))) from None
        return text

    def schema(self) -> Schema:
        """Return the JSON Schema."""
        return {"type": "string", "minLength": 1}


@dataclass(frozen=True)
class Locale(OneOf):
    """A supported language, by its BCP 47 tag."""

    choices: tuple[str, ...] = LANGUAGES

    def parse(self, text: str, reading: Reading) -> str:
        """Return the tag; another spelling of it is wrong, with the right one suggested."""
        try:
            return super().parse(text, reading)
        except Unfit as unfit:
            lowered = text.lower()
            meant = "zh-CN" if lowered.startswith("zh") else "en" if lowered.startswith("en") else unfit.suggestion
            raise Unfit(str(unfit), meant) from None


@dataclass(frozen=True)
class ContractName(Text):
    """A contract: the operator's own beside the site file, a shipped one, or a file. Read as what `load_contract` takes."""

    maximum: int = 1000
    label: str = noted("a contract's name or file")

    def parse(self, text: str, reading: Reading) -> str:
        """Return a shipped contract's name, or the path of a file that is there."""
        shipped = sorted(path.stem for path in CONTRACTS.glob("*.yaml"))
        own = reading.folder / "contracts" / f"{text}.yaml"
        super().parse(text, reading)
        if "/" in text or text.endswith((".yaml", ".yml")):
            own = reading.folder / text
        if os.path.isfile(own):
            return str(own)
        if text in shipped:
            return text
        names = [*shipped, *sorted(path.stem for path in (reading.folder / "contracts").glob("*.yaml"))]
        raise Unfit(_("there is no contract '{text}'").format(text=shown(text)), reading.suggest(text, names))

    def schema(self) -> Schema:
        """Return the JSON Schema."""
        return {"type": "string", "minLength": 1, "examples": sorted(path.stem for path in CONTRACTS.glob("*.yaml"))}


@dataclass(frozen=True, slots=True)
class Found:
    """A file that a pattern matches: where it is, how to show it, where the pattern stands."""

    path: Path
    shown: str
    line: int
    column: int


@dataclass(frozen=True)
class Files(Text):
    """A path or pattern (``*``, ``?``, ``**``), from the site file's folder; read as the files that match, sorted."""

    maximum: int = 1000
    label: str = noted("a path or pattern such as devices/*.yaml")

    def read(self, node: Node, reading: Reading) -> tuple[Found, ...] | None:
        """Return the files, or None after reporting that there are none."""
        pattern = super().read(node, reading)
        if pattern is None:
            reading.complete = False
            return None
        names = sorted(name for name in glob.glob(pattern, root_dir=reading.folder, recursive=True))
        files = [Found(reading.folder / name, str(reading.given / name), node.line, node.column) for name in names]
        files = [file for file in files if not os.path.isdir(file.path)]
        if not files:
            reading.complete = False
            reading.wrong(node, _("no file matches '{pattern}'").format(pattern=shown(pattern)))
        return tuple(files)

    def schema(self) -> Schema:
        """Return the JSON Schema."""
        return {"type": "string", "minLength": 1}


@dataclass(slots=True)
class Parts:
    """What one file said, and in the end what all of them said together."""

    site: Values = field(default_factory=dict)
    agent: Values = field(default_factory=dict)
    collector: Values = field(default_factory=dict)
    credentials: dict[str, Credentials] = field(default_factory=dict)
    places: dict[str, Place] = field(default_factory=dict)
    places_given: bool = False
    devices: list[Draft] = field(default_factory=list)
    include: tuple[Found, ...] = ()
    rules: tuple[Found, ...] = ()
    node: Mapping = field(default_factory=lambda: Mapping(0, 0))


def _values(values: Values, node: Mapping, reading: Reading) -> Values:
    return values


def _place(values: Values, node: Mapping, reading: Reading) -> Place:
    return Place("", values.get("region") or "", values.get("title") or "")


def _parts(values: Values, node: Mapping, reading: Reading) -> Parts:
    return Parts(
        site=values.get("site") or {},
        agent=values.get("agent") or {},
        collector=values.get("collector") or {},
        credentials=values.get("credentials") or {},
        places=values.get("places") or {},
        places_given="places" in values,
        devices=list(values.get("devices") or ()),
        include=tuple(file for files in values.get("include") or () for file in files),
        rules=tuple(file for files in values.get("rules") or () for file in files),
        node=node,
    )


SITE = Table(
    (
        Key("name", NAME, "name of the site; a label of every series", "north-campus", required=True),
        Key("contract", ContractName(), "a shipped contract, one in contracts/ beside the site file, or a file",
            "campus-network", required=True),
        Key("region", OneOf(REGIONS), "urban or county, where neither device nor place says so", "county", "urban"),
        Key("timezone", TimeZone(), "time zone of calendars and documents", "Asia/Shanghai", "UTC"),
        Key("locale", Locale(), "language of texts and documents: " + " or ".join(LANGUAGES), "zh-CN", "en"),
        Key("title", Text(), "name for people", "North Campus", "the name"),
    ),
    _values,
    "site",
)  # fmt: skip
PLACES = MapOf(
    Table(
        (
            Key("region", OneOf(REGIONS), "urban or county", "county", "the site's"),
            Key("title", Text(), "name for people", "Room 301", "the name"),
        ),
        _place,
        "places.NAME",
        optional=True,
    ),
    PLACE_NAME,
)
_SHARED = (
    Key("credentials", CREDENTIALS, "how to ask, by name", "{read-only: {snmp: {version: 2c, community: env:X}}}", "none"),
    Key("places", PLACES, "crossings, buildings, rooms; once one is listed, all must be", "{room-301: {title: Room 301}}",
        "those the devices name"),
    Key("devices", DEVICES, "the devices", "[{name: core-1, address: 10.0.0.1, class: switch}]", "[]"),
    Key("include", ListOf(Files()), "further files, YAML or CSV", "[devices/*.yaml, assets.csv]", "[]"),
)  # fmt: skip
SITE_FILE = Table(
    (
        Key("site", SITE, "what the site is called and which contract it is under", "{name: north, contract: campus-network}",
            required=True),
        *_SHARED,
        Key("rules", ListOf(Files()), "Prometheus rule files, added to the shipped ones", "[rules/*.yml]", "[]"),
        Key("agent", AGENT, "the half that asks", "{lanes: {reach: 1s}}"),
        Key("collector", COLLECTOR, "the half that decides and keeps", "{listen: 127.0.0.1:8470}"),
        Key("notify", Anything(), "accepted; this version does not act on it yet", "{}"),
        Key("tickets", Anything(), "accepted; this version does not act on it yet", "{}"),
        Key("roster", Anything(), "accepted; this version does not act on it yet", "{}"),
        Key("maintenance", Anything(), "accepted; this version does not act on it yet", "{}"),
    ),
    _parts,
    "site file",
)  # fmt: skip
INCLUDED_FILE = Table(_SHARED, _parts, "included file")
