"""What `watchkeeper probe` is asked about: a device of the site, an address, or a recorded walk, as records to ask with."""

from __future__ import annotations

import argparse
import dataclasses
import difflib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from config.language import _
from config.load import load_site
from config.profile import Profile
from config.profile_load import find_profile, load_profiles
from config.secret import Secret
from config.site import AgentSettings, CollectorSettings, Credentials, Device, Site, SnmpCredentials, SpoolSettings
from probes.walkfile import WalkSnmp, read_walk


class SubjectError(Exception):
    """It cannot be asked; the text says why and what to give instead."""


@dataclass(frozen=True)
class Subject:
    """A device with its site and profile, and the walk that answers in its place if it is one."""

    site: Site
    device: Device
    profile: Profile
    walk: Any = None


def resolve(args: argparse.Namespace, environ: Mapping[str, str]) -> Subject:
    """Return what the words mean: a walk file that exists, a device name of the site file, else an address.

    Raises:
        SubjectError: none of these, or an unknown class or credentials.
        ConfigErrors: the site file is wrong.
    """
    site = load_site(args.config) if args.config else _empty_site()
    profiles = load_profiles(args.config.parent / "profiles" if args.config else None)
    if Path(args.subject).is_file():
        walk = WalkSnmp(read_walk(Path(args.subject)))
        device = _stranger("walk", "127.0.0.1", args.device_class or "generic-snmp", _any_credentials())
        return Subject(site, device, _profile(device, profiles), walk)
    if args.subject in site.devices:
        device = site.devices[args.subject]
        if args.device_class:
            device = dataclasses.replace(device, device_class=args.device_class, profile="")
        return Subject(site, device, _profile(device, profiles))
    if args.config and not args.device_class:
        near = difflib.get_close_matches(args.subject, site.devices, 1)
        hint = _(" Did you mean '{name}'?").format(name=near[0]) if near else ""
        text = _("{file} has no device '{name}'.{hint} To ask an address, give --class.")
        raise SubjectError(text.format(file=args.config, name=args.subject, hint=hint))
    device = _stranger(args.subject, args.subject, args.device_class or "generic-snmp", _credentials(args, site, environ))
    return Subject(site, device, _profile(device, profiles))


def _profile(device: Device, profiles: dict[str, Profile]) -> Profile:
    try:
        return find_profile(device, profiles)
    except LookupError:
        classes = ", ".join(sorted({profile.device_class for profile in profiles.values()}))
        raise SubjectError(
            _("unknown class '{name}'; there are {classes}").format(name=device.device_class, classes=classes)
        ) from None


def _stranger(name: str, address: str, device_class: str, credentials: Credentials | None) -> Device:
    return Device(name=name, address=address, device_class=device_class, credentials=credentials)


def _any_credentials() -> Credentials:
    return Credentials("walk", snmp=SnmpCredentials("2c", Secret("walk", "walk")))


def _credentials(args: argparse.Namespace, site: Site, environ: Mapping[str, str]) -> Credentials | None:
    if args.credentials:
        for device in site.devices.values():
            if device.credentials is not None and device.credentials.name == args.credentials:
                return device.credentials
        raise SubjectError(_("no device of the site file uses credentials '{name}'").format(name=args.credentials))
    if not args.snmp:
        return None
    version, _colon, source = args.snmp.partition(":")
    variable = source.removeprefix("env:")
    if version not in ("1", "2c") or not source.startswith("env:"):
        raise SubjectError(
            _("--snmp {value}: give a version and an environment variable, such as 2c:env:SNMP_COMMUNITY").format(
                value=args.snmp
            )
        )
    if not environ.get(variable):
        raise SubjectError(_("--snmp: the environment variable {name} is not set").format(name=variable))
    return Credentials("command line", snmp=SnmpCredentials(version, Secret(environ[variable], source), port=args.port))


def _empty_site() -> Site:
    nowhere = Path("watchkeeper-data")
    return Site(
        name="probe",
        contract="",
        path=Path(),
        devices={},
        agent=AgentSettings("probe", SpoolSettings(nowhere / "spool"), {}),
        collector=CollectorSettings(nowhere),
    )
