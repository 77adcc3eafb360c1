"""A reload takes a good file and says what it changes; a wrong file changes nothing."""

from __future__ import annotations

from pathlib import Path

from config.reload import Changes, Reloader
from kit.site_files import ENVIRON, HEAD, site_folder

A = "  - {name: a, address: 10.0.0.1, class: switch, credentials: ro}\n"
B = "  - {name: b, address: 10.0.0.2, class: switch}\n"
BASE = HEAD + "credentials: {ro: {snmp: {version: 2c, community: file:secret}}}\ndevices:\n"


def reloader(tmp_path: Path) -> tuple[Reloader, Path]:
    path = site_folder(tmp_path) / "site.yaml"
    (tmp_path / "secret").write_text("one")
    (tmp_path / "secret").chmod(0o600)
    path.write_text(BASE + A + B)
    return Reloader(path, environ=ENVIRON), path


def test_nothing_changed(tmp_path: Path) -> None:
    reload, _path = reloader(tmp_path)
    result = reload.try_reload()
    assert (result.errors, result.changes) == ((), Changes())


def test_what_changed_is_named(tmp_path: Path) -> None:
    reload, path = reloader(tmp_path)
    head = BASE.replace("site: {", "site: {locale: zh-CN, ")
    new = "  - {name: c, address: 10.0.0.3, class: ups}\n"
    path.write_text(head + A.replace("0.0.1", "0.0.9") + new + "agent: {max_in_flight: 9}\n")
    result = reload.try_reload()
    assert result.site is reload.site
    assert result.changes == Changes(("c",), ("b",), ("a",), ("agent", "locale"))


def test_another_secret_is_a_change_of_the_devices_that_use_it(tmp_path: Path) -> None:
    reload, _path = reloader(tmp_path)
    (tmp_path / "secret").write_text("two")
    assert reload.try_reload().changes == Changes(changed=("a",))


def test_a_wrong_file_keeps_the_running_site(tmp_path: Path) -> None:
    reload, path = reloader(tmp_path)
    running = reload.site
    for text in ("", "site: {", BASE + A + A, BASE + "  - {name: a, class: switch}\n", "\x00"):
        path.write_text(text)
        result = reload.try_reload()
        assert result.site is None and result.errors
        assert reload.site is running
    path.unlink()
    assert reload.try_reload().errors[0].message == "cannot be read: No such file or directory"
    path.write_text(BASE + A)
    assert list(reload.try_reload().site.devices) == ["a"]  # type: ignore[union-attr]
    assert list(reload.site.devices) == ["a"]
