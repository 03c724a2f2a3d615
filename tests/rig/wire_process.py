"""The far path: two TUN devices, one in each of two network namespaces, and this process between.

    python wire_process.py FD NETNS_FILE ADDRESS NETNS_FILE ADDRESS

The kernels of small test machines have no netem; this delays, drops and slows packets in its
place. FD is a datagram socket: each message is a JSON object of the settings to change, and is
answered with all of them; when its other end closes, the wire is gone.
"""

import ctypes
import heapq
import json
import os
import random
import select
import socket
import struct
import subprocess
import sys
import time

CLONE_NEWNET = 0x40000000
TUNSETIFF = 0x400454CA
IFF_TUN_NO_PI = 0x1001
BURST = 64  # packets taken from one side before the other gets its turn
BACKLOG = 1.0  # seconds a packet may wait for its turn on a slow wire; a full router drops it
IN_FLIGHT = 20_000  # packets

Settings = dict[str, float]


def tun(net: str, address: str) -> int:
    """Make the device `wire0` in a network namespace, with this process at its other end."""
    libc = ctypes.CDLL(None, use_errno=True)
    with open(net) as file:  # noqa: PTH123 - pathlib is not worth its import time here
        if libc.setns(file.fileno(), CLONE_NEWNET):
            raise OSError(ctypes.get_errno(), net)
    fd = os.open("/dev/net/tun", os.O_RDWR)
    if sys.platform == "linux":  # every system can import this, none but Linux can run it
        import fcntl  # noqa: PLC0415

        os.set_blocking(fd, False)
        fcntl.ioctl(fd, TUNSETIFF, struct.pack("16sH22x", b"wire0", IFF_TUN_NO_PI))
    commands = f"addr add {address} dev wire0\nlink set wire0 mtu 1500 txqueuelen 1000 up\n"
    subprocess.run(["ip", "-batch", "-"], input=commands, text=True, check=True)
    return fd


class Wire:
    """Packets under way, and the settings that say when and whether each one arrives."""

    def __init__(self, one: int, other: int) -> None:
        """Join two TUN devices."""
        self.far_end = {one: other, other: one}
        self.settings: Settings = {"delay": 0.0, "jitter": 0.0, "loss": 0.0, "rate": 0.0, "up": 1}
        self._under_way: list[tuple[float, int, int, bytes]] = []
        self._count = 0
        self._free = dict.fromkeys(self.far_end, 0.0)
        self._latest = dict.fromkeys(self.far_end, 0.0)

    def deliver(self) -> float | None:
        """Hand over what is due; return the seconds to the next packet."""
        now = time.monotonic()
        while self._under_way and self._under_way[0][0] <= now:
            _, _, end, packet = heapq.heappop(self._under_way)
            try:
                os.write(end, packet)
            except OSError:
                continue  # the device is down or full: a lost packet, as on a real wire
        return max(0.0, self._under_way[0][0] - now) if self._under_way else None

    def take(self, end: int) -> None:
        """Read what one side sent and give each packet its time of arrival."""
        for _ in range(BURST):
            try:
                packet = os.read(end, 65536)
            except OSError:  # nothing more to read, or the device is gone
                return
            arrival = self._arrival(end, len(packet), time.monotonic())
            if arrival is not None:
                self._count += 1
                heapq.heappush(self._under_way, (arrival, self._count, self.far_end[end], packet))

    def cut(self) -> None:
        """Lose the packets that are under way."""
        self._under_way.clear()

    def _arrival(self, end: int, size: int, now: float) -> float | None:
        wish = self.settings
        lost = random.random() < wish["loss"]
        if lost or not wish["up"] or len(self._under_way) >= IN_FLIGHT:
            return None
        sent = now
        if wish["rate"]:
            if self._free[end] - now > BACKLOG:
                return None
            sent = self._free[end] = max(now, self._free[end]) + size / wish["rate"]
        # one path keeps its packets in order, however uneven its delay
        uneven = random.uniform(-1, 1) * wish["jitter"]
        arrival = sent + max(0.0, wish["delay"] + uneven)
        self._latest[end] = max(arrival, self._latest[end])
        return self._latest[end]


def main() -> None:
    """Carry packets until the control socket closes."""
    control = socket.socket(fileno=int(sys.argv[1]))
    ends = tun(sys.argv[2], sys.argv[3]), tun(sys.argv[4], sys.argv[5])
    wire = Wire(*ends)
    control.send(json.dumps(wire.settings).encode())
    while True:
        ready, _, _ = select.select([*ends, control.fileno()], [], [], wire.deliver())
        for end in ready:
            if end != control.fileno():
                wire.take(end)
                continue
            message = control.recv(4096)
            if not message:
                return
            wire.settings.update(json.loads(message))
            if not wire.settings["up"]:
                wire.cut()
            control.send(json.dumps(wire.settings).encode())


if __name__ == "__main__":
    main()
