"""How a device is asked whether it is there, other than by ICMP: SNMP's sysUpTime, or a TCP port. Compiles, asks nothing."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from types import MappingProxyType

from config.profile import Step
from config.site import Device, Site
from probes.outcome import Question
from probes.registry import NEEDS, PROBES

log = logging.getLogger(__name__)

# One step for all devices: what it means is compiled once and shared (`probes.snmp.measure.StepOptions`).
_SYS_UP_TIME = {"oid": "1.3.6.1.2.1.1.3.0", "type": "timeticks", "metric": "device_uptime_seconds"}
_SNMP = Step("snmp_get", "reach", "reach-snmp", MappingProxyType({"objects": (_SYS_UP_TIME,)}))


def compile_methods(site: Site, device: Device, methods: Sequence[str]) -> dict[str, Question]:
    """Return the questions of a device's methods besides ``icmp``; one that cannot be used is logged and left out."""
    questions: dict[str, Question] = {}
    for method in methods:
        try:
            question = None if method == "icmp" else compile_method(site, device, method)
        except ValueError as error:
            log.error("device %s, reach %s: %s", device.name, method, error)
            continue
        if question is not None:
            questions[method] = question
    return questions


def compile_method(site: Site, device: Device, method: str) -> Question | None:
    """Return the question of a method (``snmp``, ``tcp:PORT``), None where the device lacks what it needs.

    Raises:
        ValueError: no such method, or a port that is none.
    """
    name, _, port = method.partition(":")
    if name == "snmp":
        step = _SNMP
    elif name == "tcp":
        step = Step("tcp", "reach", "reach-tcp", {"port": int(port or device.ports.get("tcp", 0))})
    else:
        raise ValueError(f"unknown reach method {method!r}: icmp, snmp or tcp:PORT")
    needs = NEEDS.get(step.probe)
    if needs is not None and (device.credentials is None or getattr(device.credentials, needs) is None):
        return None
    return PROBES[step.probe](site, device, step)
