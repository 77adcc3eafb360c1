"""A site file becomes typed records: defaults, includes, lists, references."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest

from config.errors import ConfigErrors
from config.load import find_profile, load_site
from config.site import LaneSettings, Upstream
from kit.site_files import ENVIRON, HEAD, load, mistakes, site_folder

DESIGN = """\
site: {name: north-campus, contract: campus-network, region: urban, timezone: Asia/Shanghai, locale: zh-CN}
credentials:
  read-only: {snmp: {version: 2c, community: env:COMMUNITY}}
  secure:    {snmp: {version: 3, user: noc, auth: {sha256: file:good}, priv: {aes128: env:TOKEN}}}
  shell:     {ssh: {username: monitor, password: file:good}}
devices:
  - {name: core-1,   address: 10.0.0.1,  class: switch, credentials: secure, role: core}
  - {name: acc-3-12, address: 10.0.3.12, class: switch, upstream: core-1}
  - {name: ups-3, address: 10.0.3.13, class: ups, upstream: acc-3-12, powers: [acc-3-12]}
  - {name: r301-pj, address: 10.0.9.31, class: ups, place: room-301, upstream: {device: acc-3-12, port: GigabitEthernet1/0/9}}
include: [devices/*.yaml, assets.csv]
rules: [rules/*.yml]            # ordinary Prometheus rule files, added to the shipped ones
notify: {mail: noc@example}
tickets: {}
roster: {}
maintenance: {}
"""


def device_line(name: str, more: str = "") -> str:
    return f"  - {{name: {name}, address: {name}.example, class: switch{more}}}\n"


def test_the_example_of_the_design_loads(tmp_path: Path) -> None:
    folder = site_folder(tmp_path)
    (folder / "devices").mkdir()
    (folder / "devices" / "b.yaml").write_text(
        "- {name: sw-b, address: '2001:DB8:0::1', class: switch, upstream: [core-1, acc-3-12]}\n"
    )
    (folder / "assets.csv").write_text("name,address,class,upstream\ncam-1,10.0.4.1,ups,acc-3-12:Gi1;core-1\n")
    (folder / "rules").mkdir()
    (folder / "rules" / "own.yml").write_text("groups: []\n")
    site = load(folder, DESIGN)
    assert (site.name, site.contract, site.timezone, site.locale) == (
        "north-campus",
        "campus-network",
        "Asia/Shanghai",
        "zh-CN",
    )
    assert list(site.devices) == ["core-1", "acc-3-12", "ups-3", "r301-pj", "sw-b", "cam-1"]
    snmp = site.devices["core-1"].credentials.snmp  # type: ignore[union-attr]
    assert snmp is not None and snmp.auth_secret is not None and snmp.priv_secret is not None
    assert (snmp.version, snmp.user, snmp.auth_protocol, snmp.priv_protocol) == ("3", "noc", "sha256", "aes128")
    assert (snmp.auth_secret.reveal(), snmp.auth_secret.source) == ("S3cret-good", "file:good")
    assert site.devices["core-1"].credentials.name == "secure"  # type: ignore[union-attr]
    assert site.devices["r301-pj"].upstream == (Upstream("acc-3-12", "GigabitEthernet1/0/9"),)
    assert site.devices["cam-1"].upstream == (Upstream("acc-3-12", "Gi1"), Upstream("core-1"))
    assert site.devices["sw-b"].address == "2001:db8::1"
    assert site.devices["ups-3"].powers == ("acc-3-12",)
    assert site.places["room-301"].region == "urban"
    assert site.rules == (folder / "rules" / "own.yml",)
    not_yet = "accepted, but this version does not act on it yet."
    assert [warning.split(": ", 1)[1] for warning in site.warnings] == [
        f"{key}: {not_yet}" for key in ("notify", "tickets", "roster", "maintenance")
    ]


def test_what_is_not_given_has_its_default(tmp_path: Path) -> None:
    site = load(site_folder(tmp_path), HEAD + "devices:\n" + device_line("a"))
    assert (site.region, site.timezone, site.locale, site.warnings) == ("urban", "UTC", "en", ())
    assert site.collector.data == tmp_path / "watchkeeper-data"
    assert site.agent.spool.path == tmp_path / "watchkeeper-data" / "spool"
    assert (site.agent.name, site.agent.gateway, site.agent.max_in_flight) == ("s", "auto", 2000)
    assert site.agent.lanes == {
        "reach": LaneSettings(2.0, 1.0),
        "state": LaneSettings(30.0, 5.0),
        "table": LaneSettings(60.0, 20.0),
        "inventory": LaneSettings(21600.0, 60.0),
        "picture": LaneSettings(300.0, 30.0),
        "shell": LaneSettings(3600.0, 60.0),
    }
    assert find_profile(site.devices["a"], site.profiles).name == "switch"


def test_every_setting_arrives(tmp_path: Path) -> None:
    folder = site_folder(tmp_path)
    text = HEAD + (
        "agent:\n"
        "  name: x17\n"
        "  collector: https://centre.example:8470/\n"
        "  token: env:TOKEN\n"
        "  ca: good\n"
        "  listen: '[::1]:8471'\n"
        "  references: [10.0.0.1, gw.example]\n"
        "  gateway: none\n"
        "  max_in_flight: 500\n"
        "  spool: {path: sp, max_size: 512MB, max_age: 3d, keep: oldest}\n"
        "  lanes: {reach: 500ms, state: {interval: 3s}, table: {timeout: 90s}, picture: {interval: 1m30s, timeout: 4s}}\n"
        "collector:\n"
        "  listen: 127.0.0.1:0\n"
        "  data: /var/lib/w\n"
        "  tls: {certificate: good, key: good}\n"
        "  metrics_token: env:TOKEN2\n"
        "  agents: {x17: {token: env:TOKEN}, x18: {tokens: [env:TOKEN2, file:good2]}}\n"
        "  retention: {age: 7d, size: 1.5GB}\n"
        "  agent_silent: 3m\n"
        "  reopen_window: 1h\n"
    )
    (folder / "good2").write_text("0123456789abcdefg")
    (folder / "good2").chmod(0o640)
    site = load(folder, text)
    agent, collector = site.agent, site.collector
    assert (agent.name, agent.collector, agent.listen, agent.gateway) == (
        "x17",
        "https://centre.example:8470",
        "[::1]:8471",
        "none",
    )
    assert agent.token is not None and agent.token.reveal() == ENVIRON["TOKEN"]
    assert (agent.references, agent.max_in_flight, agent.ca) == (("10.0.0.1", "gw.example"), 500, folder / "good")
    assert dataclasses.astuple(agent.spool) == (folder / "sp", 512 << 20, 3 * 86400.0, "oldest")
    assert agent.lanes["reach"] == LaneSettings(0.5, 0.5)
    assert agent.lanes["state"] == LaneSettings(3.0, 3.0)
    assert agent.lanes["table"] == LaneSettings(90.0, 90.0)
    assert agent.lanes["picture"] == LaneSettings(90.0, 4.0)
    assert (collector.listen, collector.data) == ("127.0.0.1:0", Path("/var/lib/w"))
    assert (collector.tls_certificate, collector.tls_key) == (folder / "good", folder / "good")
    assert [len(access.tokens) for access in collector.agents.values()] == [1, 2]
    assert collector.agents["x18"].name == "x18"
    assert (collector.retention.max_age_s, collector.retention.max_bytes) == (7 * 86400.0, 3 << 29)
    assert (collector.agent_silent_s, collector.reopen_window_s) == (180.0, 3600.0)


def test_a_text_stays_the_text_it_is_written_as(tmp_path: Path) -> None:
    site = load(site_folder(tmp_path), HEAD + "devices:\n" + device_line("no", ", place: 0301, labels: {owner: on, code: 1e3}"))
    device = site.devices["no"]
    assert (device.name, device.place, device.labels) == ("no", "0301", {"owner": "on", "code": "1e3"})


def test_region_comes_from_device_place_or_site(tmp_path: Path) -> None:
    text = "site: {name: s, contract: campus-network, region: county}\nplaces: {p: {region: urban, title: P}, q: }\ndevices:\n"
    text += (
        device_line("a") + device_line("b", ", place: p") + device_line("c", ", place: q") + device_line("d", ", region: urban")
    )
    site = load(site_folder(tmp_path), text)
    assert [device.region for device in site.devices.values()] == ["county", "urban", "county", "urban"]
    assert site.places["p"].title == "P"


def test_anchors_aliases_and_merge_keys(tmp_path: Path) -> None:
    text = HEAD + (
        "credentials:\n"
        "  a: &a {snmp: &snmp {version: 2c, community: env:COMMUNITY}}\n"
        "  b: *a\n"
        "  c: {snmp: {<<: *snmp, port: 1161}}\n"
    )
    text += "devices:\n" + device_line("x", ", credentials: b") + device_line("y", ", credentials: c")
    site = load(site_folder(tmp_path), text)
    assert site.devices["x"].credentials.snmp.port == 161  # type: ignore[union-attr]
    assert site.devices["y"].credentials.snmp.port == 1161  # type: ignore[union-attr]


@pytest.mark.parametrize("change", ["bom", "crlf", "json"])
def test_ways_to_write_the_same_file(change: str, tmp_path: Path) -> None:
    text = HEAD + "devices:\n" + device_line("核心-1")
    if change == "json":
        text = (
            '{"site": {"name": "s", "contract": "campus-network"},\n'
            ' "devices": [{"name": "核心-1", "address": "a.example", "class": "switch"}]}'
        )
    data = {"bom": b"\xef\xbb\xbf" + text.encode(), "crlf": text.replace("\n", "\r\n").encode(), "json": text.encode()}[change]
    assert list(load(site_folder(tmp_path), data.replace("核心-1.example".encode(), b"a.example")).devices) == ["核心-1"]


def test_lines_are_right_behind_a_bom_and_crlf(tmp_path: Path) -> None:
    data = b"\xef\xbb\xbf" + (HEAD + "devices:\n" + device_line("a", ", rol: x")).replace("\n", "\r\n").encode()
    assert mistakes(site_folder(tmp_path), data) == ["site.yaml:3: devices[a].rol: unknown key. Did you mean 'role'?"]


# rings ---------------------------------------------------------------------------------------------------------------------


def test_a_ring_with_a_way_out_is_legal(tmp_path: Path) -> None:
    text = HEAD + "devices:\n" + device_line("core") + device_line("r1", ", upstream: [core, r2]")
    text += device_line("r2", ", upstream: [r1, r3]") + device_line("r3", ", upstream: [r2, core]")
    assert len(load(site_folder(tmp_path), text).devices) == 4


def test_only_the_loop_without_a_way_out_is_named(tmp_path: Path) -> None:
    text = (
        HEAD
        + "devices:\n"
        + device_line("core")
        + device_line("r1", ", upstream: [core, r2]")
        + device_line("r2", ", upstream: r1")
    )
    text += device_line("x", ", upstream: y") + device_line("y", ", upstream: x") + device_line("z", ", upstream: y")
    (found,) = mistakes(site_folder(tmp_path), text)
    assert "x, y lead only to each other" in found


def test_a_chain_of_5000_is_no_matter(tmp_path: Path) -> None:
    text = (
        HEAD + "devices:\n" + device_line("d0") + "".join(device_line(f"d{n}", f", upstream: d{n - 1}") for n in range(1, 5000))
    )
    assert len(load(site_folder(tmp_path), text).devices) == 5000
    found = mistakes(tmp_path, text.replace("name: d0,", "name: d0, upstream: d4999,"))
    assert len(found) == 1 and "and 4992 more lead only to each other" in found[0]


# includes ------------------------------------------------------------------------------------------------------------------


def test_includes_bring_devices_credentials_and_places(tmp_path: Path) -> None:
    folder = site_folder(tmp_path)
    (folder / "more.yaml").write_text(
        "credentials: {ro: {snmp: {version: 1, community: env:COMMUNITY}}}\nplaces: {p: {title: P}}\n"
        "include: [deep.yaml]\ndevices:\n" + device_line("b", ", credentials: ro, place: p")
    )
    (folder / "deep.yaml").write_text("- {name: c, address: c.example, class: ups, upstream: a}\n")
    site = load(folder, HEAD + "include: [more.yaml, deep.yaml]\ndevices:\n" + device_line("a", ", place: p, credentials: ro"))
    assert list(site.devices) == ["a", "b", "c"]


def test_errors_name_the_included_file(tmp_path: Path) -> None:
    folder = site_folder(tmp_path)
    (folder / "d.yaml").write_text(
        "- {name: b, address: b.example, class: switch, upstream: aa}\n- {name: a, address: x, class: ups}\n"
    )
    assert mistakes(folder, HEAD + "include: [d.yaml]\ndevices:\n" + device_line("a")) == [
        "d.yaml:1: devices[b].upstream: there is no device 'aa'. Did you mean 'a'?",
        "d.yaml:2: devices[a].name: the device name 'a' is already used at site.yaml:4.",
    ]


def test_an_unreadable_include_does_not_make_its_devices_unknown(tmp_path: Path) -> None:
    folder = site_folder(tmp_path)
    (folder / "d.yaml").write_text("- {name: core\n")
    found = mistakes(folder, HEAD + "include: [d.yaml]\ndevices:\n" + device_line("a", ", upstream: core"))
    assert found == ["d.yaml:2: not valid YAML: did not find expected ',' or '}' while parsing a flow mapping."]


def test_include_loops_are_named(tmp_path: Path) -> None:
    folder = site_folder(tmp_path)
    (folder / "a.yaml").write_text("include: [b.yaml]\n")
    (folder / "b.yaml").write_text("devices: []\ninclude: [a.yaml]\n")
    assert mistakes(folder, HEAD + "include: [a.yaml]\n") == [
        "b.yaml:2: include: a file includes itself: site.yaml -> a.yaml -> b.yaml -> a.yaml."
    ]


def test_names_given_in_two_files(tmp_path: Path) -> None:
    folder = site_folder(tmp_path)
    (folder / "a.yaml").write_text("places: {p: {}}\nsite: {}\n")
    assert mistakes(folder, HEAD + "places: {p: {}}\ninclude: [a.yaml]\n") == [
        "a.yaml:1: places.p: is already given at site.yaml:2.",
        "a.yaml:2: site: unknown key.",
    ]


def test_relative_paths_count_from_the_site_files_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = site_folder(tmp_path)
    (folder / "site.yaml").write_text(HEAD + "include: [gone.yaml]\n")
    monkeypatch.chdir(folder.parent)
    with pytest.raises(ConfigErrors, match=f"{folder.name}/site.yaml:2: include"):
        load_site(Path(folder.name, "site.yaml"), {})
    (folder / "site.yaml").write_text(HEAD)
    assert load_site(Path(folder.name, "site.yaml"), {}).path == folder / "site.yaml"


# contracts, warnings -------------------------------------------------------------------------------------------------------


def test_a_contract_of_ones_own(tmp_path: Path) -> None:
    folder = site_folder(tmp_path)
    (folder / "contracts").mkdir()
    own = folder / "contracts" / "own.yaml"
    own.write_text("levels: []\n")
    for name in ("own", "contracts/own.yaml", str(own)):
        assert load(folder, f"site: {{name: s, contract: {name}}}\n").contract == str(own)


def test_what_deserves_a_look_is_a_warning(tmp_path: Path) -> None:
    text = HEAD + (
        "collector: {listen: 0.0.0.0:8470, agents: {x: {token: env:TOKEN}, y: {token: env:TOKEN}}}\n"
        "agent: {collector: 'http://10.9.9.9:8470', token: env:TOKEN, ca: gone.pem}\n"
        "devices:\n"
        "  - {name: a, address: 10.0.0.1, class: switch}\n"
        "  - {name: b, address: 10.0.0.1, class: switch}\n"
        "  - {name: c, address: 10.0.0.1, class: switch, ports: {snmp: 1161}}\n"
    )
    site = load(site_folder(tmp_path), text)
    assert sorted(warning.replace(f"{tmp_path}/", "") for warning in site.warnings) == [
        "site.yaml:2: collector: agents x and y have the same token; each can pass for the other.",
        "site.yaml:2: collector: listens beyond this machine without tls; tokens travel unencrypted.",
        "site.yaml:3: agent.ca: there is no file gone.pem on this machine.",
        "site.yaml:3: agent: the token travels unencrypted; use https.",
        "site.yaml:6: devices[b].address: 10.0.0.1 is also the address of a.",
    ]


def test_devices_that_no_agent_is_named_for(tmp_path: Path) -> None:
    text = HEAD + "collector: {agents: {x: {token: env:TOKEN}}}\ndevices:\n" + device_line("a")
    (warning,) = load(site_folder(tmp_path), text).warnings
    assert warning.endswith("site.yaml: 1 devices (such as a) name no agent, but there are several.")


def test_an_agents_file_may_share_the_devices_of_others(tmp_path: Path) -> None:
    folder = site_folder(tmp_path)
    devices = f"devices:\n{device_line('a', ', agent: x1')}{device_line('b', ', agent: x2, upstream: a')}"
    site = load(folder, f"{HEAD}{devices}agent: {{name: x1, collector: 'https://centre.example', token: env:TOKEN}}\n")
    assert site.devices["b"].agent == "x2"
    (error,) = mistakes(folder, f"{HEAD}{devices}agent: {{name: x1}}\n")
    assert "there is no agent 'x2'" in error


def test_ten_thousand_wrong_references_are_ten_thousand_errors_soon(tmp_path: Path) -> None:
    text = HEAD + "devices:\n" + "".join(device_line(f"acc-{n}", f", upstream: cor-{n}") for n in range(10_000))
    assert len(mistakes(site_folder(tmp_path), text)) == 10_000


def test_a_suggestion_is_of_the_right_kind(tmp_path: Path) -> None:
    """The same wrong word at two keys is compared with the names of each."""
    text = HEAD + "places: {pq: {}}\ncredentials: {pqr: {http: {}}}\ndevices:\n"
    found = mistakes(site_folder(tmp_path), text + device_line("a", ", place: pqs, credentials: pqs"))
    assert [error.rpartition(" ")[2] for error in found] == ["'pq'?", "'pqr'?"]
