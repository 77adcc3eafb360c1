"""The actions a timeline may name: what each needs and means. Doing them is the fleet's and the models' work."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from simulator.templates import CLASSES


@dataclass(frozen=True, slots=True)
class Action:
    """One word of `do:`: the values it needs, those it admits, and what it means."""

    means: str
    needs: tuple[str, ...] = ()
    admits: tuple[str, ...] = ()
    ratio: bool = False  # `value` is a share from 0 to 1


FLEET_ACTIONS: Mapping[str, Action] = {
    "device-dies": Action("the device and what it powers go dark"),
    "device-returns": Action("a dead device starts again, uptime from zero"),
    "device-reboots": Action("the device's uptime and counters start from zero"),
    "link-cut": Action("the line to its upstream (`to`, where it has several) is cut", admits=("to",)),
    "link-mends": Action("the line is whole again", admits=("to",)),
    "loss": Action(
        "this share of packets to the device and all behind it is lost", needs=("value",), admits=("for",), ratio=True
    ),
    "port-down": Action("a port loses its link, and the device behind it its way", needs=("port",)),
    "port-up": Action("the port has its link back", needs=("port",)),
    "port-flaps": Action("a port goes down and up again, `every` so long, `for` so long", needs=("port", "every", "for")),
}

MODEL_ACTIONS: Mapping[str, Action] = {
    "mains-fails": Action("the UPS runs on its battery, which drains `faster` times as fast", admits=("faster",)),
    "mains-returns": Action("the UPS is on mains, its battery charges"),
    "ups-runtime": Action("the battery holds for `value` seconds more", needs=("value",)),
    "port-errors": Action("a port counts `value` receive errors a second", needs=("port", "value")),
    "cpu-load": Action("processor load is `value`", needs=("value",), ratio=True),
    "storage-used": Action("the disk mounted on `part` is filled to `value`", needs=("part", "value"), ratio=True),
    "lamp-hours": Action("the lamp has burnt `value` hours", needs=("value",)),
    "lamp-fails": Action("the lamp has ended"),
    "lamp-replaced": Action("a new lamp, zero hours"),
    "projector-error": Action("`part` (fan, lamp, ...) is ok (0), warns (1) or has failed (2)", needs=("part", "value")),
    "supply-level": Action("the supply `part` is filled to `value`", needs=("part", "value"), ratio=True),
    "cover-opens": Action("the printer's cover is open"),
    "cover-closes": Action("the printer's cover is closed"),
    "paper-jams": Action("the printer has a paper jam"),
    "paper-cleared": Action("the paper jam is cleared"),
    "stream-stops": Action("the camera answers but has no picture"),
    "stream-returns": Action("the camera has its picture back"),
    "recording-stops": Action("the recorder's channel `part` is not recorded", needs=("part",)),
    "recording-returns": Action("the channel is recorded again", needs=("part",)),
    "disk-fails": Action("the recorder's disk `part` fails", needs=("part",)),
    "disk-replaced": Action("the disk is good again", needs=("part",)),
    "call-starts": Action("the codec is busy with a call"),
    "call-ends": Action("the codec is free"),
    "sip-fails": Action("the codec answers SIP with 503"),
    "sip-returns": Action("the codec answers SIP with 200"),
}

ACTIONS: Mapping[str, Action] = {**FLEET_ACTIONS, **MODEL_ACTIONS}


def classes_with(action: str) -> tuple[str, ...]:
    """Return the device classes that know an action, in alphabetical order."""
    if action.startswith("port-") and action in FLEET_ACTIONS:
        return ("switch",)
    if action in FLEET_ACTIONS:
        return tuple(sorted(CLASSES))
    return tuple(sorted(name for name, model in CLASSES.items() if action in model.actions))
