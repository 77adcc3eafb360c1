"""The site file a scenario is given fits its fleet, keeps its secrets apart, and is one that the loader accepts."""

from __future__ import annotations

from pathlib import Path

from config.load import load_site
from kit.fleet import scenario
from simulator.scenario import load_scenario, shipped_scenario
from simulator.site import site_yaml, write_site

FLEET = """
- {name: core, class: switch, role: core, address: 127.45.0.1, credentials: secure}
- {name: cam, class: camera, address: 127.45.0.2, credentials: cameras, upstream: {device: core, port: GigabitEthernet1/0/1}}
- {name: pj, class: projector, address: 127.45.0.3, credentials: rooms, upstream: core, place: room-1}
- {name: ups, class: ups, address: 127.45.0.4, credentials: read-only, upstream: core, powers: [core]}
"""


def test_no_secret_stands_in_the_site_file(tmp_path: Path) -> None:
    text = site_yaml(scenario(tmp_path, FLEET))
    for secret in ("test-read", "test-auth-phrase", "test-priv-phrase", "panel", "picture"):
        assert secret not in text


def test_the_loader_accepts_it(tmp_path: Path) -> None:
    path = tmp_path / "written" / "site.yaml"
    path.parent.mkdir()
    write_site(scenario(tmp_path, FLEET), path, {"snmp": 20161, "pjlink": 24352})
    site = load_site(path)
    assert {name: device.address for name, device in site.devices.items()} == {
        "core": "127.45.0.1", "cam": "127.45.0.2", "pj": "127.45.0.3", "ups": "127.45.0.4",
    }  # fmt: skip
    core, pj = site.devices["core"].credentials, site.devices["pj"].credentials
    assert core is not None and core.snmp is not None and core.snmp.auth_secret is not None
    assert (core.snmp.port, core.snmp.auth_secret.reveal()) == (20161, "test-auth-phrase")
    assert pj is not None and pj.pjlink is not None and pj.pjlink.password is not None
    assert (pj.pjlink.port, pj.pjlink.password.reveal()) == (24352, "panel")
    assert site.devices["pj"].ports["tcp"] == 24352
    assert site.devices["cam"].upstream[0].port == "GigabitEthernet1/0/1"
    assert site.devices["ups"].powers == ("core",)
    for secret in (tmp_path / "written" / "site-secrets").iterdir():
        assert secret.stat().st_mode & 0o077 == 0


def test_the_demo_makes_a_site(tmp_path: Path) -> None:
    demo = load_scenario(shipped_scenario("demo"))
    write_site(demo, tmp_path / "site.yaml")
    site = load_site(tmp_path / "site.yaml")
    assert site.contract == "crossing-video"
    assert len(site.devices) == len(demo.devices)
    assert site.places["crossing-17"].title == "Crossing 17"
    assert not site.warnings
