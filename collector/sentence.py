"""One sentence about a fault, for people, in their language. Words only; decides nothing."""

from __future__ import annotations

from collector.fault import Fault
from config.language import translate


def fault_sentence(fault: Fault, language: str | None = None) -> str:
    """Return what is wrong in one sentence, such as ``Mains lost at ups-3: on battery, 6 devices behind``.

    Args:
        fault: the fault.
        language: ``en`` or ``zh-CN``; the current language if not given.
    """
    lost = len([name for name in fault.affected if name != fault.device])
    fields = {
        "device": fault.device,
        "component": fault.component,
        "count": lost,
        "behind": fault.behind,
        "problem": fault.problem.replace("-", " "),
        "reason": fault.reason,
    }
    return translate(_template(fault, lost), language).format(**fields)


def _template(fault: Fault, lost: int) -> str:
    """Return the English template, which is also the key of its translations."""
    if fault.problem == "mains-lost":
        return _mains(fault, lost)
    by_count = _COUNTED.get(fault.problem)
    if by_count is not None:
        return by_count[min(lost, 2)]
    if fault.problem in _PLAIN:
        return _PLAIN[fault.problem]
    if fault.component:
        return _noted("{problem} at {device}, {component}")
    return _noted("{problem} at {device}")


def _mains(fault: Fault, lost: int) -> str:
    if lost:
        return _noted("Mains lost at {device}: {count} of {behind} devices behind are down")
    if fault.behind == 1:
        return _noted("Mains lost at {device}: on battery, 1 device behind")
    if fault.behind:
        return _noted("Mains lost at {device}: on battery, {behind} devices behind")
    return _noted("Mains lost at {device}: on battery")


def _noted(text: str) -> str:
    """Mark a text for translation; it is translated when the fault's language is known."""
    return text


_COUNTED = {
    "device-down": (
        _noted("{device} does not answer"),
        _noted("{device} does not answer, 1 device lost with it"),
        _noted("{device} does not answer, {count} devices lost with it"),
    ),
    "link-down": (
        _noted("Port {component} of {device} is down"),
        _noted("Port {component} of {device} is down, 1 device lost behind it"),
        _noted("Port {component} of {device} is down, {count} devices lost behind it"),
    ),
    "agent-blind": (
        _noted("Agent {device} reaches nothing"),
        _noted("Agent {device} reaches nothing: 1 device is not watched"),
        _noted("Agent {device} reaches nothing: {count} devices are not watched"),
    ),
    "agent-silent": (
        _noted("Nothing is heard of agent {device}"),
        _noted("Nothing is heard of agent {device}: 1 device is not watched"),
        _noted("Nothing is heard of agent {device}: {count} devices are not watched"),
    ),
}
_PLAIN = {
    "picture-lost": _noted("No usable picture from {device}"),
    "recording-lost": _noted("{device} does not record"),
    "temperature-high": _noted("{device} is too hot"),
}
