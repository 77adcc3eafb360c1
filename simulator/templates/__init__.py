"""The classes of simulated devices, one noun per file."""

from __future__ import annotations

from simulator.model import Model
from simulator.templates.camera import Camera
from simulator.templates.codec import Codec
from simulator.templates.nvr import Nvr
from simulator.templates.printer import Printer
from simulator.templates.projector import Projector
from simulator.templates.server import Server
from simulator.templates.switch import Switch
from simulator.templates.ups import Ups

CLASSES: dict[str, type[Model]] = {
    "switch": Switch,
    "ups": Ups,
    "camera": Camera,
    "nvr": Nvr,
    "projector": Projector,
    "codec": Codec,
    "printer": Printer,
    "server": Server,
}
