"""The labels that every series of a device carries. Never adds what a component of the device is called."""

from __future__ import annotations

from config.site import Device, Site


def base_labels(site: Site, device: Device) -> dict[str, str]:
    """Return site, device, class, place and role (where set) and the device's own labels, which never replace the former."""
    labels = {"site": site.name, "device": device.name, "class": device.device_class}
    if device.place:
        labels["place"] = device.place
    if device.role:
        labels["role"] = device.role
    return {**device.labels, **labels}
