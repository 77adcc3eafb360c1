"""One sentence about a fault, for people, in their language. Words only; decides nothing."""

from __future__ import annotations

from collections.abc import Iterable

from collector.alarm import Alarm
from collector.fault import Fault
from config.language import current, noted, translate


def fault_sentence(fault: Fault, language: str | None = None, alarms: Iterable[Alarm] = ()) -> str:
    """Return what is wrong in one sentence, such as ``Mains lost at ups-3: on battery, 6 devices behind``.

    Args:
        fault: the fault.
        language: ``en`` or ``zh-CN``; the current language if not given.
        alarms: its alarms: where no sentence is ours, the summary of the root's own rule is taken.
    """
    template = _template(fault)
    root = None if template else root_alarm(fault, alarms)
    if root is not None and root.text:
        return root.text_in(language or current())
    template = template or (noted("{problem} at {device}, {component}") if fault.component else noted("{problem} at {device}"))
    fields = {
        "device": fault.device,
        "component": fault.component,
        "count": _lost(fault),
        "behind": fault.behind,
        "problem": translate(fault.problem, language).replace("-", " "),
    }
    return translate(template, language).format(**fields)


def root_alarm(fault: Fault, alarms: Iterable[Alarm]) -> Alarm | None:
    """Return the alarm that the fault is about, None where it is not among these."""
    wanted = (fault.device, fault.component, fault.problem)
    return next((alarm for alarm in alarms if (alarm.key.device, alarm.key.component, alarm.problem) == wanted), None)


def _template(fault: Fault) -> str:
    """Return the English template, which is also the key of its translations; empty where the problem has none."""
    lost = _lost(fault)
    if fault.problem == "mains-lost":
        return _mains(fault, lost)
    by_count = _COUNTED.get(fault.problem)
    if by_count is not None:
        return by_count[min(lost, 2)]
    return _PLAIN.get(fault.problem, "")


def _lost(fault: Fault) -> int:
    return len([name for name in fault.affected if name != fault.device])


def _mains(fault: Fault, lost: int) -> str:
    if lost:
        return noted("Mains lost at {device}: {count} of {behind} devices behind are down")
    if fault.behind == 1:
        return noted("Mains lost at {device}: on battery, 1 device behind")
    if fault.behind:
        return noted("Mains lost at {device}: on battery, {behind} devices behind")
    return noted("Mains lost at {device}: on battery")


_COUNTED = {
    "device-down": (
        noted("{device} does not answer"),
        noted("{device} does not answer, 1 device lost with it"),
        noted("{device} does not answer, {count} devices lost with it"),
    ),
    "link-down": (
        noted("Port {component} of {device} is down"),
        noted("Port {component} of {device} is down, 1 device lost behind it"),
        noted("Port {component} of {device} is down, {count} devices lost behind it"),
    ),
    "agent-blind": (
        noted("Agent {device} reaches nothing"),
        noted("Agent {device} reaches nothing: 1 device is not watched"),
        noted("Agent {device} reaches nothing: {count} devices are not watched"),
    ),
    "agent-silent": (
        noted("Nothing is heard of agent {device}"),
        noted("Nothing is heard of agent {device}: 1 device is not watched"),
        noted("Nothing is heard of agent {device}: {count} devices are not watched"),
    ),
}
_PLAIN = {
    "picture-lost": noted("No usable picture from {device}"),
    "recording-lost": noted("{device} does not record"),
    "temperature-high": noted("{device} is too hot"),
}
