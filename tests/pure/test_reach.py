"""From a runtime file to the addresses that sshd can dial."""

from __future__ import annotations

from dataclasses import replace
from pathlib import PurePosixPath
from typing import TYPE_CHECKING, Any

import pytest

from remotenb.model import Listening, Published, Scan
from remotenb.reach import candidates, in_container, named, on_host
from remotenb.secret import Secret
from remotenb.server import Endpoint
from tests.pure.samples import container, probe, runtime_file

if TYPE_CHECKING:
    from remotenb.model import RuntimeFile

FILE = runtime_file()


def scan(*addresses: str, port: int = 8888, file: RuntimeFile = FILE) -> Scan:
    return Scan(files=(file,), listening=tuple(Listening(a, port) for a in addresses))


@pytest.mark.parametrize(
    ("addresses", "dialled"),
    [
        (("127.0.0.1",), ["127.0.0.1"]),
        (("0.0.0.0",), ["127.0.0.1"]),
        (("::",), ["127.0.0.1"]),
        (("0.0.0.0", "::"), ["127.0.0.1"]),
        (("::1",), ["::1"]),
        (("::1", "127.0.0.1"), ["127.0.0.1", "::1"]),
        (("10.0.0.5",), ["10.0.0.5"]),
        ((), ["127.0.0.1"]),
    ],
)
def test_on_the_host_the_address_that_listens_is_dialled(
    addresses: tuple[str, ...], dialled: list[str]
) -> None:
    seen = on_host(scan(*addresses), FILE)
    assert [way.host for way in seen.endpoints] == dialled
    assert {way.port for way in seen.endpoints} == {8888}


@pytest.mark.parametrize("address", ["0.0.0.0", "::", "10.0.0.5"])
def test_a_server_on_a_wide_address_of_the_host_is_exposed(address: str) -> None:
    assert on_host(scan(address), FILE).exposed == f"{address}:8888"


@pytest.mark.parametrize("address", ["127.0.0.1", "127.0.1.1", "::1", "::ffff:127.0.0.1"])
def test_a_server_on_a_loopback_of_the_host_is_not_exposed(address: str) -> None:
    assert on_host(scan(address), FILE).exposed == ""


def test_another_ports_listener_says_nothing() -> None:
    assert on_host(scan("0.0.0.0", port=9999), FILE).exposed == ""


def test_a_container_of_the_hosts_network_is_reached_as_the_host_is() -> None:
    box = container(network="host", addresses=())
    seen = in_container(box, scan("127.0.0.1"), FILE)
    assert seen.endpoints == (Endpoint("127.0.0.1", 8888),)
    assert (seen.container, seen.obstacle) == (box, "")


def test_a_published_port_comes_before_the_containers_address() -> None:
    box = container(published=(Published(8888, "127.0.0.1", 18888), Published(22, "", 2222)))
    seen = in_container(box, scan("0.0.0.0"), FILE)
    assert seen.endpoints == (Endpoint("127.0.0.1", 18888), Endpoint("172.17.0.2", 8888))
    assert (seen.exposed, seen.obstacle) == ("", "")


def test_what_is_not_published_is_reached_by_the_containers_address() -> None:
    seen = in_container(container(), scan("0.0.0.0"), FILE)
    assert seen.endpoints == (Endpoint("172.17.0.2", 8888),)


@pytest.mark.parametrize("host_ip", ["0.0.0.0", "::", ""])
def test_a_port_published_to_the_world_is_dialled_on_the_loopback_and_exposed(host_ip: str) -> None:
    box = container(published=(Published(8888, host_ip, 18888),))
    seen = in_container(box, scan("0.0.0.0"), FILE)
    assert seen.endpoints[0] == Endpoint("127.0.0.1", 18888)
    assert seen.exposed.endswith(":18888")


def test_a_port_published_on_one_address_is_dialled_there() -> None:
    box = container(published=(Published(8888, "10.0.0.5", 18888),))
    assert in_container(box, scan(), FILE).endpoints[0] == Endpoint("10.0.0.5", 18888)


def test_both_families_of_a_published_port_are_one_way() -> None:
    published = (Published(8888, "0.0.0.0", 18888), Published(8888, "::", 18888))
    seen = in_container(container(published=published, addresses=()), scan(), FILE)
    assert seen.endpoints == (Endpoint("127.0.0.1", 18888),)


@pytest.mark.parametrize("loopback", ["127.0.0.1", "::1"])
def test_the_containers_own_loopback_is_an_obstacle(loopback: str) -> None:
    box = container(published=(Published(8888, "127.0.0.1", 18888),))
    seen = in_container(box, scan(loopback), FILE)
    assert seen.endpoints == ()
    assert "own loopback of container nb" in seen.obstacle


def test_a_loopback_of_another_port_is_none() -> None:
    assert in_container(container(), scan("127.0.0.1", port=1), FILE).endpoints


def test_a_unix_socket_is_an_obstacle_in_a_container_and_on_the_host() -> None:
    file = runtime_file(sock="/tmp/jupyter.sock", port=0)
    for seen in (in_container(container(), scan(), file), on_host(scan(), file)):
        assert seen.endpoints == ()
        assert "unix socket" in seen.obstacle


def test_a_container_without_a_network_is_an_obstacle() -> None:
    seen = in_container(container(network="none", addresses=()), scan("0.0.0.0"), FILE)
    assert (seen.endpoints, bool(seen.obstacle)) == ((), True)


def test_https_is_kept_on_every_way() -> None:
    box = container(published=(Published(8888, "127.0.0.1", 18888),))
    seen = in_container(box, scan(), runtime_file(secure=True))
    assert [way.secure for way in seen.endpoints] == [True, True]


def test_a_file_seen_in_a_mounted_home_belongs_to_where_its_process_lives() -> None:
    elsewhere = runtime_file(alive=False)
    box = container(network="host", scan=scan("127.0.0.1"))
    there = probe(containers=(box,), host=Scan(files=(elsewhere,)))
    (seen,) = candidates(there, engine="auto")
    assert seen.container == box
    (seen,) = candidates(
        probe(
            containers=(container(network="host", scan=Scan(files=(elsewhere,))),),
            host=scan("127.0.0.1"),
        ),
        engine="auto",
    )
    assert seen.container is None


def test_a_file_that_lives_in_a_container_is_not_asked_for_on_the_host_as_well() -> None:
    inside = Scan(files=(FILE,), listening=(Listening("127.0.0.1", 8888),), python="/bin/python3")
    mounted = runtime_file(path=PurePosixPath("/home/alice/rt/jpserver-7.json"), alive=False)
    box = container(scan=inside)
    host = Scan(files=(mounted,), python="/usr/bin/python3")
    (seen,) = candidates(probe(containers=(box,), host=host), engine="auto")
    assert seen.container == box
    others: list[dict[str, Any]] = [
        {"token": Secret("t")}, {"modified": 1001}, {"pid": 8}, {"alive": True},
    ]  # fmt: skip
    for other in others:
        host = replace(host, files=(replace(mounted, **other),))
        assert len(candidates(probe(containers=(box,), host=host), engine="auto")) == 2


def test_of_two_alike_the_containers_and_then_the_newer_is_kept() -> None:
    box = container(network="host", scan=scan("127.0.0.1"))
    (seen,) = candidates(probe(containers=(box,), host=scan("127.0.0.1")), engine="auto")
    assert seen.container == box
    older, newer = runtime_file(modified=1), runtime_file(modified=2)
    (seen,) = candidates(probe(host=Scan(files=(older, newer))), engine="auto")
    assert seen.file == newer


def test_a_stale_file_with_another_token_stays_a_candidate() -> None:
    files = (runtime_file(), runtime_file(token=Secret("old"), alive=False))
    assert len(candidates(probe(host=Scan(files=files)), engine="auto")) == 2


def test_two_containers_on_their_own_loopbacks_are_two_servers() -> None:
    boxes = (container("a", scan=scan("127.0.0.1")), container("b", scan=scan("127.0.0.1")))
    assert len(candidates(probe(containers=boxes), engine="auto")) == 2


def test_a_container_that_was_not_entered_has_no_candidates() -> None:
    bobs = container(ownership="other", scan=None)
    assert candidates(probe(containers=(bobs,)), engine="auto") == ()


def test_the_engine_and_a_containers_name_narrow_what_is_looked_at() -> None:
    file = runtime_file(port=9999, token=Secret("b"))
    a = container("a", scan=scan("0.0.0.0"))
    b = container("b", addresses=("172.17.0.3",), scan=scan("0.0.0.0", port=9999, file=file))
    there = probe(containers=(a, b), host=Scan(files=(runtime_file(port=7777),)))
    assert {f.container for f in candidates(there, engine="auto")} == {a, b, None}
    assert {f.container for f in candidates(there, engine="docker")} == {a, b}
    assert {f.container for f in candidates(there, engine="host")} == {None}
    assert {f.container for f in candidates(there, engine="auto", container="b")} == {b}


def test_a_container_is_named_by_its_name_or_twelve_of_its_ids_digits() -> None:
    box = container("nb", id="0123456789abcdef")
    assert named(box, "nb")
    assert named(box, "0123456789ab")
    assert not named(box, "0123456789a")
    assert not named(box, "n")
