"""The probes by name, and from a device's profile to the questions that are asked of it. Nothing is asked here.

Adding a probe is one file and one line of `PROBES`. A probe is imported when first compiled, so that a command which asks
nothing loads no protocol library.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable
from dataclasses import dataclass

from config.language import _
from config.profile import Profile, Step
from config.site import Device, Site
from probes.guard import Guarded
from probes.outcome import Question
from probes.reason import Reason
from probes.step import OptionError, StepError

Compiler = Callable[[Site, Device, Step], Question]

__all__ = ["PROBES", "CompiledStep", "LeftOut", "Plan", "StepError", "compile_plan", "compile_steps"]


def _from(module: str, name: str) -> Compiler:
    def compile_with(site: Site, device: Device, step: Step) -> Question:
        compiler: Compiler = getattr(importlib.import_module(module), name)
        return compiler(site, device, step)

    return compile_with


PROBES: dict[str, Compiler] = {
    "icmp": _from("probes.icmp.probe", "compile_icmp"),
    "snmp_get": _from("probes.snmp.get", "compile_get"),
    "snmp_table": _from("probes.snmp.table", "compile_table"),
    "tcp": _from("probes.tcp", "compile_tcp"),
    "http": _from("probes.http", "compile_http"),
    "ssh": _from("probes.ssh.probe", "compile_ssh"),
    "pjlink": _from("probes.pjlink", "compile_pjlink"),
}

NEEDS = {"snmp_get": "snmp", "snmp_table": "snmp", "ssh": "ssh"}  # probe -> the part of Credentials it cannot do without


@dataclass(frozen=True, slots=True)
class CompiledStep:
    """A step of the profile and the question it became; the question never raises (see `probes.guard`)."""

    step: Step
    question: Question


@dataclass(frozen=True, slots=True)
class LeftOut:
    """A step that is not asked of this device, and why, for `watchkeeper probe` and `doctor`."""

    step: Step
    reason: Reason
    text: str


@dataclass(frozen=True, slots=True)
class Plan:
    """All that a profile means for one device."""

    steps: tuple[CompiledStep, ...]
    left_out: tuple[LeftOut, ...]


def compile_plan(site: Site, device: Device, profile: Profile) -> Plan:
    """Return the questions of a device, and the steps that are left out because it lacks the credentials.

    Raises:
        StepError: an unknown probe, or an option its probe refuses.
    """
    steps, left_out = [], []
    for step in profile.steps:
        missing = _missing(device, step)
        if missing:
            text = _("{device} has no {protocol} credentials").format(device=device.name, protocol=missing)
            left_out.append(LeftOut(step, Reason.NO_CREDENTIALS, text))
        else:
            steps.append(CompiledStep(step, _question(site, device, profile, step)))
    return Plan(tuple(steps), tuple(left_out))


def compile_steps(site: Site, device: Device, profile: Profile) -> list[CompiledStep]:
    """Return the questions of a device alone. Raises as `compile_plan` does."""
    return list(compile_plan(site, device, profile).steps)


def _missing(device: Device, step: Step) -> str:
    protocol = NEEDS.get(step.probe, "")
    if not protocol or (device.credentials is not None and getattr(device.credentials, protocol) is not None):
        return ""
    return protocol


def _question(site: Site, device: Device, profile: Profile, step: Step) -> Question:
    compiler = PROBES.get(step.probe)
    if compiler is None:
        text = _("unknown probe; there are {probes}").format(probes=", ".join(sorted(PROBES)))
        raise StepError(profile.name, step.name, "probe", text)
    try:
        return Guarded(compiler(site, device, step), device.name, step.name)
    except OptionError as error:
        raise StepError(profile.name, step.name, error.key, error.text) from error
    except ValueError as error:
        raise StepError(profile.name, step.name, "", str(error)) from error
