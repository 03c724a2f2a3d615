"""The laptop slept, or is on another network: told by its clocks and its address."""

from __future__ import annotations

from dataclasses import dataclass

import pytest

from remotenb.laptop.wake import Reading, WakeWatch, local_address, read_clocks


@dataclass
class Laptop:
    """Its clocks and its address, set by hand."""

    clocks: Reading = Reading(1e9, 100.0, 500.0)  # noqa: RUF009  a tuple
    address: str | None = "192.168.1.7"

    def watch(self) -> WakeWatch:
        return WakeWatch(clocks=lambda: self.clocks, address=lambda: self.address)

    def pass_time(self, wall: float, awake: float, total: float | None) -> None:
        at = self.clocks
        self.clocks = Reading(
            at.wall + wall,
            at.awake + awake,
            None if total is None or at.total is None else at.total + total,
        )


@pytest.mark.parametrize("seconds", [0.01, 0.5, 60.0])
def test_nothing_is_said_while_time_goes_on_however_seldom_one_looks(seconds: float) -> None:
    laptop = Laptop()
    watch = laptop.watch()
    for _ in range(100):
        laptop.pass_time(seconds, seconds, seconds)
        assert watch.changed() is None


@pytest.mark.parametrize(
    ("wall", "awake", "total"),
    [
        (3600.5, 0.5, 3600.5),
        (1.5, 0.5, 1.5),
        (3660.0, 60.0, 3660.0),
        (3600.5, 0.5, 0.5),
        (3600.5, 0.5, None),
        (3600.5, 3600.5, None),
    ],
    ids=["suspended", "for-a-second", "in-a-long-attempt", "paused-machine", "macos", "one-clock"],
)
def test_a_sleep_is_seen_once(wall: float, awake: float, total: float | None) -> None:
    laptop = Laptop()
    watch = laptop.watch()
    laptop.pass_time(wall, awake, total)
    assert watch.changed() == "the laptop woke up"
    laptop.pass_time(0.5, 0.5, 0.5)
    assert watch.changed() is None


def test_a_clock_that_is_set_back_is_no_sleep() -> None:
    laptop = Laptop()
    watch = laptop.watch()
    laptop.pass_time(-3600, 0.5, 0.5)
    assert watch.changed() is None


def test_each_change_of_the_address_is_told_once() -> None:
    laptop = Laptop()
    watch = laptop.watch()
    told = []
    for address in (None, None, "10.0.0.4", "10.0.0.4", "192.168.1.7"):
        laptop.address = address
        told.append(watch.changed())
    changed = "the network changed"
    assert told == ["the network went away", None, changed, None, changed]


def test_the_clocks_of_this_machine_go_on() -> None:
    first, second = read_clocks(), read_clocks()
    assert second.awake >= first.awake
    assert WakeWatch(address=lambda: None).changed() is None


@pytest.mark.parametrize(
    ("towards", "own"), [("127.0.0.1", "127.0.0.1"), ("no address", None), ("::bad::", None)]
)
def test_the_address_towards_a_place_is_found_without_a_packet(
    towards: str, own: str | None
) -> None:
    assert local_address(towards) == own
