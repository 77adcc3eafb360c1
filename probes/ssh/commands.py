"""What may be typed on which platform: a closed list of commands that change nothing and show no secrets. Pure data and checks.

Left out on purpose: whole configurations and diagnostic dumps (they hold passwords and load the device), everything with a
pipe, a redirection or a second command.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

_ARGUMENT = re.compile(r"[A-Za-z0-9][A-Za-z0-9/.:_-]{0,63}|-[A-Za-z0-9-]{1,20}")
_VENDOR_PROMPT = r"(?:HRP_.|RBM_.)?[<\[][~*]?[^\s<>\[\]]{1,80}[>\]]"
_CISCO_PROMPT = r"[\w.()/:@~+-]{1,80}[>#]"
LONGEST_COMMAND = 200


@dataclass(frozen=True, slots=True)
class Platform:
    """One netmiko platform: the shape of its prompt, what preparing the session types, and the read-only commands.

    A command is allowed if it is one of `commands` or begins with one and goes on with plain arguments.
    """

    prompt: str
    preparation: tuple[str, ...]
    commands: tuple[str, ...]


_DISPLAY_COMMON = (
    "display version",
    "display device",
    "display clock",
    "display interface",
    "display arp",
    "display mac-address",
    "display vlan",
    "display stp brief",
    "display fan",
    "display power",
    "display temperature",
    "display transceiver",
    "display ip routing-table",
    "display ip interface brief",
    "display ospf peer",
    "display bgp peer",
    "display ntp-service status",
    "display cpu-usage",
    "display poe",
    "display logbuffer",
    "display vrrp",
)

_SHOW_COMMON = (
    "show version",
    "show clock",
    "show interface",
    "show interfaces",
    "show arp",
    "show mac address-table",
    "show mac-address-table",
    "show vlan",
    "show ip interface brief",
    "show ip route",
    "show ip ospf neighbor",
    "show ip bgp summary",
    "show lldp neighbors",
    "show spanning-tree",
    "show power",
    "show fan",
    "show temperature",
    "show environment",
    "show inventory",
    "show logging",
    "show memory",
)

PLATFORMS: dict[str, Platform] = {
    "huawei_vrp": Platform(
        _VENDOR_PROMPT,
        ("screen-length 0 temporary",),
        (
            *_DISPLAY_COMMON,
            "display esn",
            "display patch-information",
            "display health",
            "display memory-usage",
            "display alarm active",
            "display stack",
            "display eth-trunk",
            "display lldp neighbor",
            "display loopback-detect",
        ),
    ),
    "hp_comware": Platform(
        _VENDOR_PROMPT,
        ("screen-length disable",),
        (
            *_DISPLAY_COMMON,
            "display environment",
            "display memory",
            "display irf",
            "display link-aggregation",
            "display lldp neighbor-information",
            "display loopback-detection",
        ),
    ),
    "ruijie_os": Platform(
        _CISCO_PROMPT,
        ("terminal width 256", "terminal length 0"),
        (*_SHOW_COMMON, "show cpu", "show aggregateport", "show switch virtual"),
    ),
    "zte_zxros": Platform(_CISCO_PROMPT, ("terminal length 0",), (*_SHOW_COMMON, "show processor", "show lacp", "show board")),
    "cisco_ios": Platform(
        _CISCO_PROMPT,
        ("terminal width 511", "terminal length 0"),
        (*_SHOW_COMMON, "show processes cpu", "show etherchannel summary", "show cdp neighbors", "show switch", "show standby"),
    ),
    "linux": Platform(
        r"(?:[^\r\n]{0,200}[\]\s:~/\w])?[$#]",
        (),
        (
            "uptime",
            "uname -a",
            "hostname",
            "df -P",
            "df -k",
            "df -h",
            "free -b",
            "free -m",
            "free",
            "cat /proc/uptime",
            "cat /proc/loadavg",
            "cat /proc/meminfo",
            "cat /proc/mdstat",
            "cat /proc/net/dev",
            "cat /etc/os-release",
            "ip address show",
            "ip link show",
            "ip route show",
            "ip -s link show",
            "systemctl is-active",
            "systemctl --failed --no-pager",
            "sensors",
            "lsblk",
        ),
    ),
}

_NO_ARGUMENTS = frozenset(
    {"cat /proc/uptime", "cat /proc/loadavg", "cat /proc/meminfo", "cat /proc/mdstat", "cat /proc/net/dev"}
) | {
    "cat /etc/os-release",
    "hostname",
    "uname -a",
    "uptime",
}


def is_allowed(platform: str, command: str) -> bool:
    """Tell whether a command is on the list of its platform; only the plain spelling is: one space, no abbreviations."""
    known = PLATFORMS.get(platform)
    if known is None or len(command) > LONGEST_COMMAND:
        return False
    for allowed in known.commands:
        if command == allowed:
            return True
        if command.startswith(allowed + " ") and allowed not in _NO_ARGUMENTS:
            return all(_ARGUMENT.fullmatch(word) for word in command[len(allowed) + 1 :].split(" "))
    return False
