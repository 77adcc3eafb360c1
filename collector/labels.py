"""The labels that all series of a device carry. They must be those its agent gives them, so that verdicts join its samples."""

from __future__ import annotations

from config.site import Device, Site
from probes.sample import Labels


def base_labels(site: Site, device: Device) -> Labels:
    """Return a device's labels, sorted: site, device, class, place and role where set, and its own."""
    labels = {**device.labels, "site": site.name, "device": device.name, "class": device.device_class}
    labels |= {name: value for name, value in (("place", device.place), ("role", device.role)) if value}
    return tuple(sorted((name, value) for name, value in labels.items() if value))


def labels_of(site: Site) -> dict[str, Labels]:
    """Return the base labels of every device of a site."""
    return {name: base_labels(site, device) for name, device in site.devices.items()}
