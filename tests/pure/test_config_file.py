"""A host is added to the config file, and what a person wrote there stays."""

from __future__ import annotations

import sys
import tomllib
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from remotenb.errors import ConfigError
from remotenb.laptop import config_file
from remotenb.settings import parse

EXAMPLE = (Path(__file__).parents[2] / "config.example.toml").read_text(encoding="utf-8")


@given(st.text(min_size=1, max_size=20))
def test_a_host_of_any_name_can_be_added(name: str) -> None:
    try:
        name.encode()
    except UnicodeEncodeError:
        return
    text = config_file.with_host("", name, {"address": "10.0.0.5"}, source="config")
    assert parse(text, source="config").hosts[name] == {"address": "10.0.0.5"}


def test_comments_and_other_hosts_stay_as_they_are() -> None:
    text = config_file.with_host(EXAMPLE, "new", {"address": "1.2.3.4"}, source="config")
    assert text.startswith(EXAMPLE.rstrip("\n"))
    before, after = (tomllib.loads(one)["hosts"] for one in (EXAMPLE, text))
    assert after == {**before, "new": {"address": "1.2.3.4"}}


def test_a_host_that_is_there_gets_what_is_new_and_keeps_the_rest() -> None:
    text = '[hosts.box]\nuser = "alice"  # me\nimage = "old"\n'
    text = config_file.with_host(text, "box", {"image": "new"}, source="config")
    assert text == '[hosts.box]\nuser = "alice"  # me\nimage = "new"\n'


@pytest.mark.parametrize("text", ["hosts = 3", "[hosts", "[hosts.box]\ncolour = 1"])
def test_a_file_that_is_no_config_is_left_alone(text: str) -> None:
    with pytest.raises(ConfigError):
        config_file.with_host(text, "box", {"user": "alice"}, source="config")


def test_a_key_that_no_config_has_is_not_written() -> None:
    with pytest.raises(ConfigError, match="colour"):
        config_file.with_host("", "box", {"colour": "red"}, source="config")


@pytest.mark.skipif(sys.platform == "win32", reason="links need a privilege there")
def test_a_link_to_the_file_stays_a_link(tmp_path: Path) -> None:
    real = tmp_path / "dotfiles" / "remotenb.toml"
    link = tmp_path / "config.toml"
    link.symlink_to(real)
    config_file.write(link, "[hosts.a]\n")
    assert link.is_symlink()
    assert real.read_text() == "[hosts.a]\n"
    assert [one.name for one in real.parent.iterdir()] == ["remotenb.toml"]


def test_a_folder_that_cannot_be_written_is_one_clear_line(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(ConfigError, match="cannot write"):
        config_file.write(tmp_path / "file" / "config.toml", "")
