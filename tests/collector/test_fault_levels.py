"""Each contract's level table, row by row: what is wrong, and the level it must have."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from config.site import Device
from kit.incidents import Incident, device

MONDAY_10 = 32 * 3600.0  # seconds from the incidents' start, a Sunday at 02:00 UTC
SUNDAY_10 = 8 * 3600.0


def crossings() -> list[Device]:
    """A centre, and four crossings of two cameras, a recorder and a UPS behind one switch each."""
    found = [
        device("core", role="core", place="centre"),
        device("store", "storage", "core", place="centre"),
        device("srv", "server", "core", place="centre"),
        device("nvr-c", "nvr", "core", place="centre"),
    ]
    for n in range(1, 5):
        place = f"crossing-{n}"
        found += [
            device(f"sw-{n}", up="core", place=place),
            device(f"cam-{n}a", "camera", f"sw-{n}", place=place),
            device(f"cam-{n}b", "camera", f"sw-{n}", place=place),
            device(f"nvr-{n}", "nvr", f"sw-{n}", place=place),
            device(f"ups-{n}", "ups", f"sw-{n}", place=place, powers=[f"sw-{n}"]),
        ]
    return found


def office() -> list[Device]:
    found = [
        device("core", role="core"),
        device("agg", up="core", role="aggregation"),
        device("acc", up="agg"),
        device("codec", "codec", "core"),
        device("ups", "ups", "core"),
        device("fw", "firewall", "core"),
    ]
    found += [device(f"pc-{n}", "pc", "acc") for n in range(3)]
    found += [device(f"printer-{n}", "printer", "core") for n in range(15)]
    found += [device("acc-2", up="core"), *(device(f"printer-{n}", "printer", "acc-2") for n in range(15, 30))]
    return found


def rooms() -> list[Device]:
    return [
        device("core", role="core"),
        device("codec-1", "codec", "core", place="room-1"),
        device("pj-1", "projector", "core", place="room-1"),
        device("ctl-1", "controller", "core", place="room-1"),
    ]


def campus() -> list[Device]:
    found = [device("core", role="core"), device("srv", "server", "core"), device("ac", "ap-controller", "core")]
    for n in range(4):
        found += [device(f"agg-{n}", up="core", role="aggregation")]
        found += [device(f"acc-{n}", up=f"agg-{n}")]
        found += [device(f"pj-{n}-{m}", "projector", f"acc-{n}", place=f"room-{n}-{m}") for m in range(24)]
    return found


def backbone() -> list[Device]:
    nodes = ["city-a", "county-1", "county-2", "county-3", "city-b"]
    found = []
    for at, place in enumerate(nodes):
        role, region = ("core", "urban") if place.startswith("city") else ("aggregation", "county")
        near = [nodes[at - 1]] if at else []
        near += [nodes[at + 1]] if at + 1 < len(nodes) else []
        ups = [(f"{other}-r1", f"to-{place}") for other in near] if at else []
        ups += [("city-c-r1", "to-city-b")] if place == "city-b" else []
        found += [device(f"{place}-r1", up=ups, role=role, region=region, place=place)]
        found += [device(f"{place}-r2", up=f"{place}-r1", region=region, place=place)]
    found += [device("city-c-r1", up=[("city-a-r1", "to-city-c"), ("city-b-r1", "to-city-c")], role="core", place="city-c")]
    found += [device("city-c-r2", up="city-c-r1", place="city-c")]
    found += [device("ups-a", "ups", "city-a-r1", place="city-a")]
    return found


SITES: dict[str, Callable[[], list[Device]]] = {
    "crossing-video": crossings,
    "government-office": office,
    "conference-rooms": rooms,
    "campus-network": campus,
    "broadcast-backbone": backbone,
}


def down(*names: str, when: float = SUNDAY_10) -> Callable[[Incident], None]:
    def act(i: Incident) -> None:
        i.down(when, *names)
        i.run(when + 10)

    return act


def raised(name: str, rule: str, severity: str = "major", **labels: str) -> Callable[[Incident], None]:
    def act(i: Incident) -> None:
        i.raise_(SUNDAY_10, name, rule, severity, **labels)
        i.run(SUNDAY_10 + 10)

    return act


def blind(i: Incident) -> None:
    i.apply(SUNDAY_10, (), [i.word(SUNDAY_10, "agent-1", "unknown", "agent-blind")])


ROWS = [
    ("crossing-video", "crossing without any picture", down("cam-1a", "sw-1", "cam-1b"), "1"),
    ("crossing-video", "core device of the centre", down("core"), "1"),
    ("crossing-video", "the centre's storage", down("store"), "1"),
    ("crossing-video", "one camera", down("cam-1a"), "2"),
    ("crossing-video", "a camera's picture", raised("cam-1a", "PictureLost"), "2"),
    ("crossing-video", "one recorder", down("nvr-1"), "2"),
    ("crossing-video", "on battery", raised("ups-1", "UpsOnBattery"), "2"),
    ("crossing-video", "agent blind", blind, "2"),
    ("crossing-video", "degraded", raised("sw-1", "TemperatureHigh", "minor", sensor="1"), "3"),
    ("crossing-video", "a warning", raised("sw-1", "DiskWears", "warning"), "3"),
    ("government-office", "core", down("core"), "1"),
    ("government-office", "30 % of the devices", down("acc-2", *(f"printer-{n}" for n in range(15, 26))), "1"),
    ("government-office", "aggregation with all behind it", down("agg", "acc", "pc-0", "pc-1", "pc-2"), "1"),
    ("government-office", "a switch with others behind it", down("acc"), "2"),
    ("government-office", "conference codec", down("codec"), "2"),
    ("government-office", "UPS dark", down("ups"), "2"),
    ("government-office", "security device", down("fw"), "2"),
    ("government-office", "one printer", down("printer-1"), "3"),
    ("government-office", "on battery", raised("ups", "UpsOnBattery"), "3"),
    ("government-office", "threshold", raised("core", "TemperatureHigh", "minor"), "4"),
    ("conference-rooms", "codec", down("codec-1"), "1"),
    ("conference-rooms", "controller", down("ctl-1"), "1"),
    ("conference-rooms", "network", down("core"), "1"),
    ("conference-rooms", "temperature", raised("codec-1", "TemperatureHigh", "minor"), "2"),
    ("conference-rooms", "projector", down("pj-1"), "3"),
    ("conference-rooms", "threshold", raised("pj-1", "FilterHours", "minor"), "4"),
    ("campus-network", "core", down("core"), "A"),
    ("campus-network", "one aggregation", down("agg-1"), "B"),
    ("campus-network", "ten devices", down("acc-1", *(f"pj-1-{n}" for n in range(9))), "B"),
    ("campus-network", "nine devices", down("acc-1", *(f"pj-1-{n}" for n in range(8))), "C"),
    ("campus-network", "a loop", raised("acc-1", "Loop"), "B"),
    ("campus-network", "access switch", down("acc-1"), "C"),
    ("campus-network", "server", down("srv"), "C"),
    ("campus-network", "wireless controller", down("ac"), "C"),
    ("campus-network", "classroom on a Sunday", down("pj-1-1"), "D"),
    ("campus-network", "classroom while they teach", down("pj-1-1", when=MONDAY_10), "C"),
    ("campus-network", "port", raised("core", "LinkDown", interface="p9"), "D"),
    ("broadcast-backbone", "a city without any path", down("city-b-r1", "city-b-r2"), "1"),
    ("broadcast-backbone", "two counties without any", down("county-1-r1", "county-1-r2", "county-2-r1", "county-2-r2"), "1"),
    ("broadcast-backbone", "one county without any", down("county-2-r1", "county-2-r2"), "2"),
    ("broadcast-backbone", "backbone lost its protection", raised("city-a-r1", "LinkDown", interface="to-city-c"), "2"),
    ("broadcast-backbone", "metro ring lost its protection", raised("city-a-r1", "LinkDown", interface="to-county-1"), "3"),
    ("broadcast-backbone", "a node's device, service goes on", down("city-b-r2"), "3"),
    ("broadcast-backbone", "on battery", raised("ups-a", "UpsOnBattery"), "3"),
    ("broadcast-backbone", "threshold", raised("city-b-r2", "TemperatureHigh", "minor"), "4"),
]


@pytest.mark.parametrize(("contract", "what", "act", "level"), ROWS, ids=[f"{row[0]}: {row[1]}" for row in ROWS])
def test_level(contract: str, what: str, act: Callable[[Incident], None], level: str) -> None:
    i = Incident(*SITES[contract](), contract=contract)
    act(i)
    highest = min(i.real, key=lambda fault: i.engine.contract.rank(fault.level))
    assert highest.level == level, (what, highest.level_reason, highest.effect)
    assert highest.level_name["en"] and highest.level_name["zh"]


def test_one_cause_at_three_crossings_is_major() -> None:
    i = Incident(*crossings(), contract="crossing-video")
    i.down(0, "core", "sw-1", "sw-2", "sw-3")
    i.run(10)
    assert i.only.level == "1"
    cameras = [device(f"cam-{n}", "camera", "line", place=f"c{n // 2}") for n in range(6)]
    i = Incident(device("line"), *cameras, contract="crossing-video")
    i.down(0, "line", "cam-0", "cam-2")
    i.run(10)
    assert i.only.level == "2"
    i.down(20, "cam-4")
    i.run(30)
    assert (i.only.level, i.only.level_reason) == ("1", "effect outage, places (whole false, count 3)")


def test_third_of_the_campus_and_three_aggregations() -> None:
    i = Incident(*campus())
    i.down(0, "agg-0", "acc-0", *(f"pj-0-{n}" for n in range(24)))
    i.run(10)
    assert i.only.level == "B"
    small = [device("core", role="core"), *(device(f"d{n}", "camera", "acc") for n in range(19)), device("acc", up="core")]
    i = Incident(*small, *(device(f"e{n}", "camera", "core") for n in range(10)))
    i.down(0, "acc", *(f"d{n}" for n in range(19)))
    i.run(10)
    assert (i.only.level, len(i.only.affected)) == ("A", 20)


def test_blind_agent_alone_is_capped_at_the_second_level() -> None:
    for contract, second in (("campus-network", "B"), ("government-office", "2"), ("conference-rooms", "2")):
        i = Incident(*SITES[contract](), contract=contract)
        blind(i)
        assert (i.only.level, len(i.only.affected)) == (second, len(i.site.devices)), contract


def test_level_rises_by_itself_with_its_reason_and_never_falls() -> None:
    i = Incident(*campus())
    i.down(0, "acc-1")
    i.run(5)
    assert i.only.level == "C"
    i.down(600, *(f"pj-1-{n}" for n in range(20)))
    i.run(700)
    assert i.only.level == "B"
    told = [entry for decisions in i.decisions for entry in decisions.history if entry.step == "level"]
    assert [(e.fields["from"], e.fields["to"], e.fields["reason"]) for e in told] == [
        ("C", "B", "effect outage, affected (count 10)")
    ]
    i.up(800, *(f"pj-1-{n}" for n in range(20)))
    i.run(900)
    assert (i.only.level, i.only.affected) == ("B", ("acc-1",))


@pytest.mark.parametrize(
    ("name", "complexity"), [("cam-1a", "simple"), ("sw-1", "simple"), ("store", "complex"), ("ups-1", "complex")]
)
def test_complexity(name: str, complexity: str) -> None:
    i = Incident(*crossings(), contract="crossing-video")
    i.down(0, name)
    i.run(10)
    assert i.only.complexity == complexity
    hours = 6 if complexity == "complex" else 4
    assert i.only.clocks["restore"].due_at == i.only.opened_at + hours * 3_600_000


def test_county_has_its_own_allowance() -> None:
    for region, minutes in (("urban", 30), ("county", 60)):
        i = Incident(device("cam", "camera", region=region), contract="crossing-video")
        i.down(0, "cam")
        assert i.only.clocks["arrive"].due_at == i.at(minutes * 60)
