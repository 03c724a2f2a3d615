"""What stands between paramiko and the bytes that it carries."""

from __future__ import annotations

import itertools
import socket
from typing import TYPE_CHECKING

from hypothesis import given, settings
from hypothesis import strategies as st
from paramiko import Channel

from remotenb.ssh.buffers import GulpingPacketizer, end, receive_faster, send_all
from remotenb.ssh.dial import IDENTIFICATION, SshSocket

if TYPE_CHECKING:
    from remotenb.ssh.buffers import Bytes

PIECES = st.lists(st.binary(min_size=1, max_size=200), min_size=1, max_size=20)
COUNTS = st.lists(st.integers(1, 300), min_size=1, max_size=20)
SOME = settings(max_examples=80, deadline=None, derandomize=True)


@SOME
@given(pieces=PIECES, counts=COUNTS)
def test_a_channel_gives_what_arrived_in_order_however_it_is_read(
    pieces: list[bytes], counts: list[int]
) -> None:
    channel = Channel(1)
    receive_faster(channel)
    came = b""
    for at, piece in enumerate(pieces):
        channel.in_buffer.feed(piece)
        came += channel.in_buffer.read(counts[at % len(counts)])
    assert len(channel.in_buffer) == len(b"".join(pieces)) - len(came)
    assert came + channel.in_buffer.empty() == b"".join(pieces)


def test_a_channel_that_has_ended_already_is_read_to_its_end() -> None:
    for mark in ("closed", "eof_received"):
        channel = Channel(1)
        setattr(channel, mark, True)
        receive_faster(channel)
        channel.settimeout(1)
        assert channel.recv(1) == b""


@SOME
@given(pieces=PIECES, counts=COUNTS)
def test_a_packetizer_takes_more_from_the_socket_than_it_is_asked_for_and_loses_none(
    pieces: list[bytes], counts: list[int]
) -> None:
    ours, theirs = socket.socketpair()
    with ours, theirs:
        packetizer = GulpingPacketizer(ours)
        sent, came = b"".join(pieces), b""
        theirs.sendall(sent)
        theirs.shutdown(socket.SHUT_WR)  # what is lost is missed, and not waited for
        for count in itertools.cycle(counts):
            came += packetizer.read_all(min(count, len(sent) - len(came)))
            if len(came) == len(sent):
                break
        assert came == sent


class Narrow:
    """A channel that takes a few bytes at a time."""

    def __init__(self) -> None:
        self.taken = b""

    def send(self, data: Bytes) -> int:
        self.taken += bytes(data[:7])
        return min(len(data), 7)


@SOME
@given(data=st.binary(max_size=100))
def test_all_is_sent_though_a_channel_takes_a_part_at_a_time(data: bytes) -> None:
    channel = Narrow()
    send_all(channel, data)
    assert channel.taken == data


def test_what_arrives_while_a_channel_is_closed_fails_nobody() -> None:
    channel = Channel(1)
    receive_faster(channel)
    channel.fileno()
    pipe = channel._pipe  # type: ignore[attr-defined]
    close = pipe.close

    def closing() -> None:
        close()
        pipe._closed = False  # paramiko notes it only after it has closed both ends
        channel.in_buffer.feed(b"late")
        channel.in_stderr_buffer.feed(b"late")
        pipe._closed = True

    pipe.close = closing
    end(channel)
    assert pipe._closed


def test_an_identification_that_was_sent_already_is_not_sent_again() -> None:
    pair = socket.socketpair()
    with SshSocket(fileno=pair[0].detach()) as ours, pair[1] as theirs:
        ours.greet()
        packetizer = GulpingPacketizer(ours)
        packetizer.write_all(f"{IDENTIFICATION}\r\n".encode())
        packetizer.write_all(b"more")
        ours.shutdown(socket.SHUT_WR)
        assert theirs.makefile("rb").read() == f"{IDENTIFICATION}\r\nmore".encode()
