"""The actions a timeline may name: what each needs and means. Doing them is the fleet's and the models' work."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from config.language import noted
from simulator.templates import CLASSES


@dataclass(frozen=True, slots=True)
class Action:
    """One word of `do:`: the values it needs, those it admits, and what it means."""

    means: str
    needs: tuple[str, ...] = ()
    admits: tuple[str, ...] = ()
    ratio: bool = False  # `value` is a share from 0 to 1


FLEET_ACTIONS: Mapping[str, Action] = {
    "device-dies": Action(noted("the device and what it powers go dark")),
    "device-returns": Action(noted("a dead device starts again, uptime from zero")),
    "device-reboots": Action(noted("the device's uptime and counters start from zero")),
    "link-cut": Action(noted("the line to its upstream (`to`, where it has several) is cut"), admits=("to",)),
    "link-mends": Action(noted("the line is whole again"), admits=("to",)),
    "loss": Action(
        noted("this share of packets to the device and all behind it is lost"), needs=("value",), admits=("for",), ratio=True
    ),
    "port-down": Action(noted("a port loses its link, and the device behind it its way"), needs=("port",)),
    "port-up": Action(noted("the port has its link back"), needs=("port",)),
    "port-flaps": Action(
        noted("a port goes down and up again, `every` so long, `for` so long"), needs=("port", "every", "for")
    ),
}

MODEL_ACTIONS: Mapping[str, Action] = {
    "mains-fails": Action(noted("the UPS runs on its battery, which drains `faster` times as fast"), admits=("faster",)),
    "mains-returns": Action(noted("the UPS is on mains, its battery charges")),
    "ups-runtime": Action(noted("the battery holds for `value` seconds more"), needs=("value",)),
    "port-errors": Action(noted("a port counts `value` receive errors a second"), needs=("port", "value")),
    "cpu-load": Action(noted("processor load is `value`"), needs=("value",), ratio=True),
    "storage-used": Action(noted("the disk mounted on `part` is filled to `value`"), needs=("part", "value"), ratio=True),
    "lamp-hours": Action(noted("the lamp has burnt `value` hours"), needs=("value",)),
    "lamp-fails": Action(noted("the lamp has ended")),
    "lamp-replaced": Action(noted("a new lamp, zero hours")),
    "projector-error": Action(noted("`part` (fan, lamp, ...) is ok (0), warns (1) or has failed (2)"), needs=("part", "value")),
    "supply-level": Action(noted("the supply `part` is filled to `value`"), needs=("part", "value"), ratio=True),
    "cover-opens": Action(noted("the printer's cover is open")),
    "cover-closes": Action(noted("the printer's cover is closed")),
    "paper-jams": Action(noted("the printer has a paper jam")),
    "paper-cleared": Action(noted("the paper jam is cleared")),
    "stream-stops": Action(noted("the camera answers but has no picture")),
    "stream-returns": Action(noted("the camera has its picture back")),
    "recording-stops": Action(noted("the recorder's channel `part` is not recorded"), needs=("part",)),
    "recording-returns": Action(noted("the channel is recorded again"), needs=("part",)),
    "disk-fails": Action(noted("the recorder's disk `part` fails"), needs=("part",)),
    "disk-replaced": Action(noted("the disk is good again"), needs=("part",)),
    "call-starts": Action(noted("the codec is busy with a call")),
    "call-ends": Action(noted("the codec is free")),
    "sip-fails": Action(noted("the codec answers SIP with 503")),
    "sip-returns": Action(noted("the codec answers SIP with 200")),
}

ACTIONS: Mapping[str, Action] = {**FLEET_ACTIONS, **MODEL_ACTIONS}


def classes_with(action: str) -> tuple[str, ...]:
    """Return the device classes that know an action, in alphabetical order."""
    if action.startswith("port-") and action in FLEET_ACTIONS:
        return ("switch",)
    if action in FLEET_ACTIONS:
        return tuple(sorted(CLASSES))
    return tuple(sorted(name for name, model in CLASSES.items() if action in model.actions))
