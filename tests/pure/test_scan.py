"""What scan.sh prints, believed only as far as it makes sense."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from remotenb.model import Listening
from remotenb.scan import parse_scan, records

NEW = {
    "base_url": "/",
    "hostname": "0.0.0.0",
    "password": False,
    "pid": 7,
    "port": 8888,
    "root_dir": "/workspace",
    "secure": False,
    "sock": "",
    "token": "0123456789abcdef",
    "url": "http://4f2a:8888/",
    "version": "2.14.0",
}
OLD = {
    "base_url": "/nb/",
    "hostname": "localhost",
    "notebook_dir": "/root",
    "password": True,
    "pid": 9,
    "port": 8889,
    "secure": True,
    "sock": "",
    "token": "",
    "url": "https://localhost:8889/nb/",
}


def record(info: object, head: str = "1 1700000000 /root/rt/jpserver-7.json") -> bytes:
    lines = json.dumps(info, indent=2).splitlines()
    return "\n".join([f"@file {head}", *(f" {line}" for line in lines), "", ""]).encode()


def only_file(**changes: object) -> object:
    files = parse_scan(record({**NEW, **changes})).files
    return files[0] if files else None


def test_a_file_of_the_new_generation_is_read() -> None:
    (file,) = parse_scan(record(NEW)).files
    assert (file.pid, file.port, file.base_url, file.secure) == (7, 8888, "/", False)
    assert (file.token.reveal(), file.root_dir, file.version) == (
        "0123456789abcdef",
        "/workspace",
        "2.14.0",
    )
    assert (file.alive, file.modified, str(file.path)) == (
        True,
        1700000000,
        "/root/rt/jpserver-7.json",
    )


def test_a_file_of_the_old_generation_is_read() -> None:
    (file,) = parse_scan(record(OLD, "0 5 /a b/nbserver-9.json")).files
    assert (file.port, file.base_url, file.secure) == (8889, "/nb/", True)
    assert (file.root_dir, file.version, bool(file.token)) == ("/root", None, False)
    assert (file.alive, file.modified, str(file.path)) == (False, 5, "/a b/nbserver-9.json")


def test_several_files_sockets_and_commands_are_read_in_order() -> None:
    raw = record(NEW) + record(OLD) + b"@listen 0100007F:22B8\n@python /usr/bin/python3\n"
    seen = parse_scan(raw + b"@jupyter /opt/my env/bin/jupyter\n")
    assert [file.port for file in seen.files] == [8888, 8889]
    assert seen.listening == (Listening("127.0.0.1", 8888),)
    assert (seen.python, seen.jupyter) == ("/usr/bin/python3", "/opt/my env/bin/jupyter")


@pytest.mark.parametrize("length", range(len(record(NEW)) - 4, 45, -7))
def test_a_half_written_file_is_left_out(length: int) -> None:
    seen = parse_scan(record(NEW)[:length] + b"\n" + record(OLD))
    assert [file.port for file in seen.files] == [8889]


@pytest.mark.parametrize(
    "base_url",
    [
        "/\r\nHost: evil/",
        "/a b/",
        "/\x1b[31m/",
        "//evil.example/",
        "/a/../b/",
        "/?x",
        "/#x",
        '/"',
        "/<x>/",
        "/ü/",
        "\\\\evil/",
    ],
)
def test_a_base_url_that_cannot_stand_in_a_request_drops_the_file(base_url: str) -> None:
    assert only_file(base_url=base_url) is None


@given(st.text(alphabet="/:.@\\ab?#%", max_size=12))
def test_a_base_url_is_always_a_path_of_the_same_server(base_url: str) -> None:
    for file in parse_scan(record({**NEW, "base_url": base_url})).files:
        assert file.base_url.startswith("/")
        assert file.base_url.endswith("/")
        assert not file.base_url.startswith("//")
        assert ".." not in file.base_url


def test_a_base_url_with_a_scheme_does_not_lead_elsewhere() -> None:
    for file in parse_scan(record({**NEW, "base_url": "https://evil.example/"})).files:
        assert file.base_url.startswith("/https:/")


@pytest.mark.parametrize("token", ["a\r\nX: y", "a\x00", "a\x1b[31m", "ü", "\ud800"])
def test_a_token_that_cannot_stand_in_a_header_drops_the_file(token: str) -> None:
    assert only_file(token=token) is None


@pytest.mark.parametrize("port", [-1, 65536, "x", None, [], 1e999, "9" * 5000])
def test_a_port_that_is_none_drops_the_file(port: object) -> None:
    assert only_file(port=port) is None


@pytest.mark.parametrize(
    "info", [[], 3, "x", None, {}, {"port": {}}, {**NEW, "pid": [1]}, {**NEW, "pid": "x"}]
)
def test_json_of_another_shape_drops_the_file(info: object) -> None:
    assert parse_scan(record(info)).files == ()


def test_json_without_a_bottom_drops_the_file() -> None:
    assert parse_scan(b"@file 1 1 /x\n " + b"[" * 100_000 + b"\n").files == ()


def test_escape_sequences_in_names_do_not_survive() -> None:
    file = only_file(root_dir="/a\x1b]0;x\x07b", version="\x1b[31m2")
    assert (getattr(file, "root_dir", ""), getattr(file, "version", "")) == ("/ab", "2")


@pytest.mark.parametrize("separator", ["\x0b", "\x0c", "\x1c", "\x85", "\u2028", "\r"])
def test_no_content_of_a_file_can_look_like_a_record(separator: str) -> None:
    forged = f'@file 1 1 /a\n {{"x": "{separator}@jupyter /evil"}}\n'.encode()
    assert parse_scan(forged).jupyter is None


@pytest.mark.parametrize(
    ("word", "listening"),
    [
        ("0100007F:22B8", Listening("127.0.0.1", 8888)),
        ("00000000:0016", Listening("0.0.0.0", 22)),
        ("00000000000000000000000000000000:22B8", Listening("::", 8888)),
        ("00000000000000000000000001000000:22B8", Listening("::1", 8888)),
        ("020011AC:22B8", Listening("172.17.0.2", 8888)),
    ],
)
def test_the_kernels_addresses_are_understood(word: str, listening: Listening) -> None:
    assert parse_scan(f"@listen {word}\n".encode()).listening == (listening,)


def test_an_ipv4_loopback_in_ipv6_clothes_is_a_loopback() -> None:
    (one,) = parse_scan(b"@listen 0000000000000000FFFF00000100007F:22B8\n").listening
    assert one.loopback
    assert not one.wildcard


@pytest.mark.parametrize(
    "word", ["", ":", "0100007F", "0100007F:", "01:22B8", "xyz:1", "0100007F:-"]
)
def test_an_address_that_is_none_is_left_out(word: str) -> None:
    assert parse_scan(f"@listen {word}\n".encode()).listening == ()


def test_records_keep_every_line_of_their_content() -> None:
    text = "noise\n@a 1\n x\n  y\n@b\nnoise\n z\n"
    assert records(text) == [("@a 1", "x\n y"), ("@b", "z")]


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=5,
)


@given(st.dictionaries(st.sampled_from(list(NEW)), JSON))
def test_any_values_in_a_file_make_a_scan(changes: dict[str, object]) -> None:
    for file in parse_scan(record({**NEW, **changes})).files:
        assert 0 <= file.port < 65536
        assert file.token.reveal().isascii()


@given(st.lists(st.binary(max_size=80), max_size=5))
def test_any_bytes_make_a_scan(lines: list[bytes]) -> None:
    heads = [b"", b"@file 1 1 /x", b"@file", b"@listen ", b"@python ", b" "]
    parse_scan(b"".join(lines))
    parse_scan(b"\n".join(head + line for head in heads for line in lines))
