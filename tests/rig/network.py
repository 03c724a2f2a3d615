"""The cables: a near path (veth) and a far one (TUN) between the laptop and the box.

Neither end is in this machine's own network and neither side has a default route, so no packet
of a test can leave.
"""

from typing import Final, Literal, assert_never

from .failures import until
from .namespaces import Holder, execute
from .wire import Wire

LAPTOP_IP: Final = "10.77.0.1"
BOX_IP: Final = "10.77.0.2"
LAPTOP_FAR_IP: Final = "10.78.0.1"
BOX_FAR_IP: Final = "10.78.0.2"
_LAPTOP_END: Final = "lap0"
_BOX_END: Final = "eth0"
_LAPTOP_MAC: Final = "02:00:0a:4d:00:01"
_BOX_MAC: Final = "02:00:0a:4d:00:02"

Fault = Literal["drop", "reset", "host_unreachable", "link_down"]

# Tables as after a reboot, with a chain of the rig's own for faults on the near path.
# Tests' reboots need it: the network namespace outlives a power cut, dockerd's rules with it.
_TABLES: Final = f"""*nat
COMMIT
*filter
:RIG - [0:0]
-A INPUT -i {_BOX_END} -j RIG
-A FORWARD -i {_BOX_END} -j RIG
-A OUTPUT -o {_BOX_END} -j RIG
COMMIT
"""


class Network:
    """Both paths between the two namespaces, and the faults of the near one."""

    def __init__(self, laptop: Holder, box: Holder) -> None:
        """Lay the cables between two new network namespaces."""
        self._laptop = laptop
        self._box = box
        self._ip(
            laptop,
            "link set lo up",
            f"link add {_LAPTOP_END} address {_LAPTOP_MAC} type veth"
            f" peer name {_BOX_END} address {_BOX_MAC} netns {box.pid}",
            f"addr add {LAPTOP_IP}/24 dev {_LAPTOP_END}",
            f"link set {_LAPTOP_END} up",
            # No ARP: behind a router, a dead host is silence, not "No route to host", and the
            # path works in the moment it is back.
            f"neigh add {BOX_IP} lladdr {_BOX_MAC} dev {_LAPTOP_END} nud permanent",
        )
        self._ip(box, "link set lo up", f"addr add {BOX_IP}/24 dev {_BOX_END}")
        self.wire: Final = Wire(laptop, box, (f"{LAPTOP_FAR_IP}/24", f"{BOX_FAR_IP}/24"))

    def block(self, fault: Fault) -> None:
        """Break the near path in one way; further faults add up."""
        if fault == "drop":
            self._rule("-A", "RIG", "-j", "DROP")
        elif fault == "reset":
            self._reject("tcp-reset", "-p", "tcp")
        elif fault == "host_unreachable":
            self._reject("icmp-host-unreachable")
        elif fault == "link_down":
            self._down()
        else:
            assert_never(fault)

    def unblock(self) -> None:
        """Undo every fault of the near path."""
        self._rule("-F", "RIG")
        self._up()

    def power_off(self) -> None:
        """Take the box's ends down, as a box without power has none."""
        self.wire.set(up=False)
        self._down()

    def forget(self) -> None:
        """Destroy the dead box's sockets: one that lingered would send its FIN when it boots."""
        execute(self._in_box("ss", "-K", "-t", "-u", "-a"), check=False)

    def power_on(self) -> None:
        """Bring the near path up, with the packet filter as after a reboot."""
        execute(self._in_box("iptables-restore"), text=_TABLES)
        execute(self._in_box("ip", "link", "del", "docker0"), check=False)
        self._up()
        self.wire.set(up=True)

    def close(self) -> None:
        """Take the far path away; the near one goes with its namespaces."""
        self.wire.close()

    def _reject(self, how: str, *match: str) -> None:
        # on the way in only: the box must not reset its own end
        self._rule("-A", "RIG", "-i", _BOX_END, *match, "-j", "REJECT", "--reject-with", how)

    def _rule(self, *argv: str) -> None:
        execute(self._in_box("iptables", "-w", *argv))

    def _down(self) -> None:
        self._ip(self._box, f"link set {_BOX_END} down")

    def _up(self) -> None:
        neighbour = f"neigh replace {LAPTOP_IP} lladdr {_LAPTOP_MAC} dev {_BOX_END} nud permanent"
        self._ip(self._box, f"link set {_BOX_END} up", neighbour)
        until(self._carries, "the near path")

    def _carries(self) -> bool:
        show = ["ip", "-o", "link", "show", _LAPTOP_END]
        return "state UP" in execute(["nsenter", f"--net={self._laptop.net}", *show]).stdout

    def _in_box(self, *argv: str) -> list[str]:
        return ["nsenter", f"--net={self._box.net}", *argv]

    def _ip(self, holder: Holder, *commands: str) -> None:
        text = "".join(f"{command}\n" for command in commands)
        execute(["nsenter", f"--net={holder.net}", "ip", "-batch", "-"], text=text)
