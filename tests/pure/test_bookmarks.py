"""What PuTTY and MobaXterm have saved; samples as the two programs write them."""

from __future__ import annotations

import string

import pytest
from hypothesis import given
from hypothesis import strategies as st

from remotenb.laptop.bookmarks import Bookmark, from_file, from_session
from remotenb.laptop.config_file import with_host

REG = r"""Windows Registry Editor Version 5.00

[HKEY_CURRENT_USER\Software\SimonTatham\PuTTY\Sessions]

[HKEY_CURRENT_USER\Software\SimonTatham\PuTTY\Sessions\gpu%20box]
"HostName"="naomi@10.0.0.5"
"PortNumber"=dword:000008ae
"Protocol"="ssh"
"PublicKeyFile"="C:\\Users\\naomi\\keys\\gpu box.ppk"
"PortForwardings"="L1200=localhost:1200,4L6006=127.0.0.1:6006,D1080=,L80=intranet:80,R22=me:22"
"UserName"="ignored"

[HKEY_CURRENT_USER\Software\SimonTatham\PuTTY\Sessions\a%20switch]
"HostName"="192.168.0.1"
"Protocol"="telnet"

[HKEY_CURRENT_USER\Software\SimonTatham\PuTTY\Sessions\Default%20Settings]
"HostName"=""
"Protocol"="ssh"
"""

MOBA = r"""[Misc]
SkinSat=80
gpu= #109#0%elsewhere%22%nobody%
[Bookmarks]
SubRep=
ImgNum=42
gpu box= #109#0%10.0.0.5%2222%naomi%%-1%-1%%gate%22%me%0%0%0%_CurrentDrive_:\k\gpu.ppk%%-1#0# #-1
[Bookmarks_1]
SubRep=Clinic
ImgNum=41
desktop=#91#4%win.example%3389%admin%0%0
saved=#109#0%dgx.example%22%[credentials]%%-1%-1%%%22%%0%0%0%%%-1%0#MobaFont%10
short=#109#0%only.example%%<default>
"""

TUNNEL = """[PortForwarding]
0000.lab=Local;naomi@10.0.0.5:2222;localhost:8888;8888;0;No SSH key selected;;No proxy selected;0
"""
TUNNELS = (
    TUNNEL
    + r"""0001.board=Local;naomi@10.0.0.5:2222;10.0.0.5:6006;16006;0;No SSH key selected
0002.db=Local;naomi@10.0.0.5:2222;db:5432;5432;0;No SSH key selected;0.0.0.0;No proxy selected;0
0003.socks=Dynamic;naomi@10.0.0.5:2222;-:0;1080;0;No SSH key selected;;;0
0004.back=Remote;naomi@10.0.0.5:2222;localhost:22;22;0;No SSH key selected;;;0
0005.lab=Local;naomi@dgx.example:22;127.0.0.1:8889;8889;0;_CurrentDrive_:\k\dgx.ppk;;;0
0006.nas=Local;naomi@[fd00::5]:22;[::1]:80;8080
0007.broken=Local;naomi@10.0.0.5
count=7
"""
)


def test_putty_s_registry_gives_its_ssh_sessions() -> None:
    assert from_file(REG) == [
        Bookmark(
            "gpu-box",
            "10.0.0.5",
            "naomi",
            0x8AE,
            r"C:\Users\naomi\keys\gpu box.ppk",
            (1200, 6006),
            left_out=(
                "D1080 is a SOCKS proxy",
                "L80=intranet:80 leads to another machine",
                "R22=me:22 leads from there to this laptop",
            ),
        )
    ]


def test_putty_s_files_give_the_same() -> None:
    text = "Protocol=ssh\nHostName=10.0.0.5\nUserName=naomi\nPortNumber=22\nProxyMethod=0\n"
    assert from_session("gpu%20box", text) == Bookmark("gpu-box", "10.0.0.5", "naomi")
    assert from_session("x", text.replace("=ssh", "=serial")) is None


def test_mobaxterm_s_bookmarks_for_ssh_are_found_with_key_and_gateway() -> None:
    assert from_file(MOBA) == [
        Bookmark("gpu-box", "10.0.0.5", "naomi", 2222, r"C:\k\gpu.ppk", gateway="gate"),
        Bookmark("saved", "dgx.example"),
        Bookmark("short", "only.example"),
    ]


def test_mobaxterm_s_tunnels_come_with_the_host_that_they_go_through() -> None:
    gpu, saved, short, nas = from_file(MOBA + TUNNELS)
    assert (gpu.name, gpu.forwards) == ("gpu-box", (8888, 6006))
    assert gpu.left_out == (
        "L5432=db:5432 leads to another machine",
        "D1080 is a SOCKS proxy",
        "R22=localhost:22 leads from there to this laptop",
    )
    assert (saved.user, saved.forwards) == ("naomi", (8889,))
    assert saved.identity_file == r"C:\k\dgx.ppk"
    assert short.forwards == ()
    assert nas == Bookmark("fd00-5", "fd00::5", "naomi", 22, forwards=(80,))


def test_a_tunnel_of_another_account_is_a_host_of_its_own() -> None:
    first = MOBA[: MOBA.index("[Bookmarks_1]")]
    one, other = from_file(first + TUNNEL.replace("naomi", "carol"))
    assert (one.user, one.forwards) == ("naomi", ())
    assert (other.hostname, other.user, other.forwards) == ("10.0.0.5", "carol", (8888,))


def test_what_is_imported_is_a_config_and_the_rest_of_it_stays() -> None:
    text = "# mine\n[hosts.other]\nimage = 'x' # why\n"
    for one in [*from_file(MOBA), *from_file(REG)]:
        text = with_host(text, one.name, one.settings, source="config.toml")
    assert text.startswith("# mine\n[hosts.other]\nimage = 'x' # why\n")


@given(st.text(alphabet=string.printable + "\x1b\0é#%[]=\\", max_size=200))
def test_any_file_gives_hosts_that_a_config_takes_or_none(text: str) -> None:
    tunnels = (f"[PortForwarding]\n{text}", f"[PortForwarding]\n0.x=Local;{text}")
    marks = (f"[Bookmarks]\n{text}", f"[Bookmarks]\nx=#109#{text}")
    for whole in (text, *marks, *tunnels, REG + text):
        for one in from_file(whole):
            with_host("", one.name, one.settings, source="config.toml")


@pytest.mark.parametrize("text", ["", "hello", "[Bookmarks]\nx=#109#", "[Bookmarks]\nx=#109#0%"])
def test_a_file_that_has_none_gives_none(text: str) -> None:
    assert from_file(text) == []
