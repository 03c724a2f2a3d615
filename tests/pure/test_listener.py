"""The local port: always the same for the same notebook."""

from __future__ import annotations

import socket

import pytest
from hypothesis import given
from hypothesis import strategies as st

from remotenb.errors import PortTaken
from remotenb.tunnel.listener import FIRST_PORT, LAST_PORT, TRIES, bind, ports_for


@given(st.text(), st.text())
def test_the_ports_are_always_the_same_distinct_and_in_range(host: str, container: str) -> None:
    ports = list(ports_for(host, container))
    assert ports == list(ports_for(host, container))
    assert len(set(ports)) == TRIES
    assert all(FIRST_PORT <= port < LAST_PORT for port in ports)


def test_the_first_port_of_a_notebook_never_changes_between_versions() -> None:
    assert next(ports_for("alice@box", "nb")) == 24386


def test_notebooks_and_hosts_have_ports_of_their_own() -> None:
    pairs = [("alice@box", "nb"), ("alice@box", ""), ("alice@box", "nc"), ("bob@box", "nb")]
    assert len({next(ports_for(*pair)) for pair in [*pairs, ("alice@boxnb", "")]}) == 5


def test_a_taken_port_leads_to_the_next_one() -> None:
    with bind(ports_for("alice@box", "nb")) as first:
        port = first.getsockname()[1]
        with bind([port, *ports_for("bob@box", "nb")]) as second:
            assert second.getsockname()[1] != port
            assert second.getsockname()[0] == "127.0.0.1"


def test_a_port_that_was_named_and_is_taken_is_an_error() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(PortTaken, match=str(port)) as raised:
            bind([port])
        assert (raised.value.code, "--port" in raised.value.hint) == (5, True)
        with pytest.raises(PortTaken, match="and the 2 after it"):
            bind([port, port, port])
