"""The config file: what may stand in it, what wins, and what is said when it is wrong."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from remotenb.cli.options import load_config
from remotenb.errors import ConfigError, UsageError
from remotenb.settings import Config, Settings, parse, settings_for

SOURCE = "/home/alice/config.toml"


def complaint(text: str) -> ConfigError:
    with pytest.raises(ConfigError) as raised:
        parse(text, source=SOURCE)
    assert raised.value.message.startswith(SOURCE)
    assert raised.value.hint
    return raised.value


def settled(
    text: str = "", environment: dict[str, str] | None = None, **options: object
) -> Settings:
    config = parse(text, source=SOURCE)
    return settings_for(config, "box", environment=environment or {}, options=options)


def test_an_unknown_key_is_named_with_its_table_and_the_likely_spelling() -> None:
    error = complaint('[hosts.box]\nimgae = "x"\n')
    assert "[hosts.box]" in error.message
    assert "'imgae'" in error.message
    assert error.hint == "did you mean 'image'?"


def test_an_unknown_key_like_no_other_lists_the_known_ones() -> None:
    error = complaint("[defaults]\nzzzzzz = 1\n")
    assert "[defaults]" in error.message
    assert "image" in error.hint
    assert "volumes" in error.hint


def test_an_unknown_table_at_the_top_is_named() -> None:
    error = complaint('[host.box]\nimage = "x"\n')
    assert "the top level" in error.message
    assert error.hint == "did you mean 'hosts'?"


@pytest.mark.parametrize(
    ("line", "key"),
    [
        ("port = 'http'", "port"),
        ("port = 0", "port"),
        ("port = 65536", "port"),
        ("port = true", "port"),
        ("image = 3", "image"),
        ("browser = 'yes'", "browser"),
        ("volumes = '~/work:/workspace'", "volumes"),
        ("volumes = [1]", "volumes"),
        ("env = {A = 1}", "env"),
        ("engine = 'lxc'", "engine"),
        ("container_name = '-x'", "container_name"),
        ("start_timeout = 0", "start_timeout"),
        ("start_timeout = inf", "start_timeout"),
        ("start_timeout = nan", "start_timeout"),
    ],
)
def test_a_value_that_cannot_be_used_is_named_with_file_table_and_key(line: str, key: str) -> None:
    error = complaint(f"[hosts.box]\n{line}\n")
    assert f"[hosts.box]: {key}: " in error.message
    assert key in error.hint
    assert "`$" not in error.message


@pytest.mark.parametrize(
    "text", ["[defaults", "a b", "= 1", "x = \x00", '[defaults]\nimage = "a"\nimage = "b"\n']
)
def test_what_is_not_toml_is_said_with_its_place(text: str) -> None:
    assert "not TOML" in complaint(text).message


@pytest.mark.parametrize("text", ["hosts = 3", "hosts = [1]", "[hosts]\nbox = 3", "defaults = 3"])
def test_a_value_in_the_place_of_a_table_is_named(text: str) -> None:
    assert "table" in complaint(text).message


def test_the_command_line_wins_over_environment_host_and_defaults_in_that_order() -> None:
    defaults = '[defaults]\nimage = "default"\ngpus = "none"\n'
    host = '[hosts.box]\nimage = "host"\n'
    environment = {"REMOTENB_IMAGE": "environment"}
    assert settled().image is None
    assert settled(defaults).image == "default"
    assert settled(defaults + host).image == "host"
    assert settled(defaults + host, environment).image == "environment"
    assert settled(defaults + host, environment, image="option").image == "option"
    assert settled(defaults + host, environment, image=None).image == "environment"
    assert settled(defaults + host).gpus == "none"


def test_another_hosts_table_does_not_matter() -> None:
    assert settled('[hosts.other]\nimage = "x"\n').image is None


def test_numbers_and_booleans_are_read_from_the_environment() -> None:
    seen = settled("", {"REMOTENB_PORT": "9000", "REMOTENB_BROWSER": "false"})
    assert (seen.port, seen.browser) == (9000, False)


def test_an_empty_variable_says_nothing() -> None:
    assert settled('[defaults]\nimage = "x"\n', {"REMOTENB_IMAGE": ""}).image == "x"


def test_a_wrong_variable_is_named() -> None:
    with pytest.raises(UsageError, match="REMOTENB_PORT"):
        settled("", {"REMOTENB_PORT": "http"})


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("port = 70000", "expected a whole number <= 65535"),
        ('browser = "yes"', "expected true or false, got text"),
        ('volumes = "a:/b"', "expected a list, got text"),
        ("env = 1", "expected a table, got a whole number"),
        ('container_name = "a b"', "expected two or more letters, digits, or any of _.-"),
    ],
)
def test_a_wrong_value_is_told_in_words(line: str, words: str) -> None:
    with pytest.raises(ConfigError) as raised:
        settled(f"[defaults]\n{line}\n")
    assert words in raised.value.message


def test_variables_that_are_no_settings_are_left_alone() -> None:
    environment = {"REMOTENB_DEBUG": "1", "REMOTENB_CONFIG": "x", "REMOTENB_VOLUMES": "a:/b"}
    assert settled("", environment) == Settings()


def test_a_port_out_of_range_on_the_command_line_is_a_usage_error() -> None:
    with pytest.raises(UsageError, match="port") as raised:
        settled(port=70000)
    assert raised.value.code == 2


def test_naming_an_environment_means_the_host_itself_unless_an_image_is_named_too() -> None:
    assert settled('[defaults]\nenvironment = "torch"\n').engine == "host"
    named = '[defaults]\nenvironment = "torch"\nimage = "busybox:1"\n'
    assert settled(named).engine == "auto"
    assert settled('[defaults]\nenvironment = "torch"\nengine = "podman"\n').engine == "podman"


def test_naming_a_shm_size_means_an_ipc_of_its_own() -> None:
    assert settled().ipc == "host"
    assert settled('[defaults]\nshm_size = "8g"\n').ipc is None
    assert settled('[defaults]\nshm_size = "8g"\nipc = "private"\n').ipc == "private"


def test_a_file_that_is_not_there_is_an_error_only_when_it_was_named(
    tmp_path: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    assert load_config(None) == Config()
    with pytest.raises(ConfigError, match="no config file"):
        load_config(str(tmp_path / "absent.toml"))


@pytest.mark.parametrize("raw", [b"image = '\xff'", b"\xff\xfe", b"#" * (2 << 20)])
def test_a_file_that_is_no_text_is_a_config_error_that_names_it(tmp_path: Any, raw: bytes) -> None:
    file = tmp_path / "config.toml"
    file.write_bytes(raw)
    with pytest.raises(ConfigError, match=r"config\.toml"):
        load_config(str(file))


def test_a_folder_in_the_place_of_the_file_is_said(tmp_path: Any) -> None:
    with pytest.raises(ConfigError, match="directory"):
        load_config(str(tmp_path))


KEYS = st.sampled_from([*Settings.__struct_fields__, "imgae", "x", ""])
VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**63 - 1)
    | st.floats()
    | st.text()
    | st.sampled_from(["1979-05-27", "07:32:00", "1979-05-27T07:32:00Z"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=5,
)


def toml(value: object) -> str:
    match value:
        case None:
            return "1979-05-27"
        case bool():
            return str(value).lower()
        case float() | int():
            return repr(value)
        case str():
            surrogates = value.encode("utf-8", "replace").decode()
            return json.dumps(surrogates, ensure_ascii=False).replace("\x7f", "\\u007f")
        case list():
            return f"[{', '.join(map(toml, value))}]"
        case dict():
            pairs = (f"{toml(key)} = {toml(inner)}" for key, inner in value.items())
            return "{" + ", ".join(pairs) + "}"
        case _:
            raise TypeError(value)


@given(st.dictionaries(KEYS, VALUES, max_size=4), st.sampled_from(["defaults", "hosts.box", "x"]))
def test_any_tables_give_a_config_or_a_config_error(table: dict[str, Any], where: str) -> None:
    lines = [f"[{where}]", *(f"{toml(key)} = {toml(value)}" for key, value in table.items())]
    try:
        config = parse("\n".join(lines), source=SOURCE)
        settings_for(config, "box", environment={}, options={})
    except ConfigError as error:
        assert error.message.startswith(SOURCE)  # noqa: PT017  either outcome is right


@pytest.mark.parametrize("value", ["[" * 5000, "9" * 5000], ids=["deep", "long"])
def test_a_value_too_deep_or_too_long_to_be_read_is_a_config_error(value: str) -> None:
    complaint(f"[defaults]\nport = {value}\n")


@given(st.text())
def test_any_text_gives_a_config_or_a_config_error(text: str) -> None:
    try:
        parse(text, source=SOURCE)
    except ConfigError as error:
        assert error.message.startswith(SOURCE)  # noqa: PT017  either outcome is right
