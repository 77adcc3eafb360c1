"""The fixed words of fault records that people read in their own language: problems, reasons. Words only; decides nothing.

A record keeps the English word; whoever shows it passes it through `config.language.translate`, which leaves a word that
is not among these (an operator's own rule may name any problem) as it is.
"""

from __future__ import annotations

from config.language import noted, translate

PROBLEMS = (
    noted("agent-blind"),
    noted("agent-conflict"),
    noted("agent-silent"),
    noted("certificate-expired"),
    noted("certificate-expiring"),
    noted("cover-open"),
    noted("cpu-high"),
    noted("device-down"),
    noted("device-rebooted"),
    noted("fan-failed"),
    noted("high-latency"),
    noted("high-utilisation"),
    noted("http-failing"),
    noted("interface-discards"),
    noted("interface-errors"),
    noted("lamp-near-end"),
    noted("lamp-past-life"),
    noted("link-down"),
    noted("login-failing"),
    noted("mains-lost"),
    noted("memory-high"),
    noted("not-registered"),
    noted("packet-loss"),
    noted("picture-lost"),
    noted("printer-jam"),
    noted("projector-error"),
    noted("projector-warning"),
    noted("recorder-disk-failed"),
    noted("recording-lost"),
    noted("recording-stopped"),
    noted("service-down"),
    noted("snmp-silent"),
    noted("spool-backlog"),
    noted("storage-filling"),
    noted("storage-full"),
    noted("stream-down"),
    noted("supply-empty"),
    noted("supply-failed"),
    noted("supply-low"),
    noted("temperature-critical"),
    noted("temperature-high"),
    noted("ups-battery-hot"),
    noted("ups-battery-low"),
    noted("ups-battery-replace"),
    noted("ups-on-bypass"),
    noted("ups-overload"),
)
REASONS = (
    # why this is the root: how a device's silence was found
    noted("no answer"),
    noted("icmp"),
    noted("tcp-silent"),
    noted("behind"),
    # why the level is this one
    noted("any other fault"),
    noted("severity warning"),
    noted("capped: only the agent says so"),
    # why a clock does not run, or why its deadline moved
    noted("starts when arrived"),
    noted("starts when restored"),
    noted("restored before"),
    noted("over when learned"),
    noted("engineer on site"),
    # why a fault came back
    noted("person"),
    noted("still raised"),
)
NAMING = (  # reasons that end with a name
    noted("behind {name}"),
    noted("leads to {name}"),
    noted("merged into {name}"),
    noted("the contract has no level {name}"),
)


def reason_shown(reason: str, language: str | None = None) -> str:
    """Return a reason for people: each of its parts (``; `` between them) in their language where there are words for it."""
    return "; ".join(_part_shown(part, language) for part in reason.split("; "))


def _part_shown(part: str, language: str | None) -> str:
    for template in NAMING:
        before = template.removesuffix("{name}")
        if part.startswith(before) and len(part) > len(before):
            return translate(template, language).format(name=part[len(before) :])
    return translate(part, language)
