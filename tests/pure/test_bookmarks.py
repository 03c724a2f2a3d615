"""What PuTTY and MobaXterm have saved; samples as the two programs write them."""

from __future__ import annotations

import string

import pytest
from hypothesis import given
from hypothesis import strategies as st

from remotenb.laptop.bookmarks import Bookmark, from_file, from_session, tunnels_of_mobaxterm
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


def test_mobaxterm_s_tunnels_are_counted_in_whatever_section_has_them() -> None:
    assert tunnels_of_mobaxterm(MOBA) == 0
    assert tunnels_of_mobaxterm("[SSH_Tunnels]\nlab=x%y\n\nother=z\n[Misc]\na=b\n") == 2


def test_what_is_imported_is_a_config_and_the_rest_of_it_stays() -> None:
    text = "# mine\n[hosts.other]\nimage = 'x' # why\n"
    for one in [*from_file(MOBA), *from_file(REG)]:
        text = with_host(text, one.name, one.settings, source="config.toml")
    assert text.startswith("# mine\n[hosts.other]\nimage = 'x' # why\n")


@given(st.text(alphabet=string.printable + "\x1b\0é#%[]=\\", max_size=200))
def test_any_file_gives_hosts_that_a_config_takes_or_none(text: str) -> None:
    for whole in (text, f"[Bookmarks]\n{text}", f"[Bookmarks]\nx=#109#{text}", REG + text):
        for one in from_file(whole):
            with_host("", one.name, one.settings, source="config.toml")


@pytest.mark.parametrize("text", ["", "hello", "[Bookmarks]\nx=#109#", "[Bookmarks]\nx=#109#0%"])
def test_a_file_that_has_none_gives_none(text: str) -> None:
    assert from_file(text) == []
