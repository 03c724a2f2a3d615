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
LAPTOP_NEW_IP: Final = "10.77.0.3"
LAPTOP_FAR_IP: Final = "10.78.0.1"
BOX_FAR_IP: Final = "10.78.0.2"
REGISTRY_NAMES: Final = ("nvcr.io", "blobs.nvcr.test")
_LAPTOP_END: Final = "lap0"
_BOX_END: Final = "eth0"
_LAPTOP_MAC: Final = "02:00:0a:4d:00:01"
_BOX_MAC: Final = "02:00:0a:4d:00:02"

Fault = Literal[
    "drop",  # in silence, both ways
    "drop_in",  # what goes to the box
    "drop_out",  # what comes from it
    "reset",
    "host_unreachable",
    "link_down",  # at the box
    "laptop_link_down",
    "laptop_moves",  # its address goes, it has another at once
]

_DROPS: Final = {"drop": ("-i", "-o"), "drop_in": ("-i",), "drop_out": ("-o",)}

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
        )
        self._laptop_up()
        self._ip(box, "link set lo up", f"addr add {BOX_IP}/24 dev {_BOX_END}")
        self.wire: Final = Wire(laptop, box, (f"{LAPTOP_FAR_IP}/24", f"{BOX_FAR_IP}/24"))

    def block(self, fault: Fault) -> None:
        """Break the near path in one way; further faults add up."""
        match fault:
            case "drop" | "drop_in" | "drop_out":
                for way in _DROPS[fault]:
                    self._rule("-A", "RIG", way, _BOX_END, "-j", "DROP")
            case "reset":
                self._reject("tcp-reset", "-p", "tcp")
            case "host_unreachable":
                self._reject("icmp-host-unreachable")
            case "link_down":
                self._down()
            case "laptop_link_down":
                self._ip(self._laptop, f"link set {_LAPTOP_END} down")
            case "laptop_moves":
                self._move(LAPTOP_IP, LAPTOP_NEW_IP)
            case _:
                assert_never(fault)

    def unblock(self) -> None:
        """Undo every fault of the near path."""
        self._rule("-F", "RIG")
        if LAPTOP_NEW_IP in self._show("addr"):
            self._move(LAPTOP_NEW_IP, LAPTOP_IP)
        self._laptop_up()
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
        neighbours = (
            f"neigh replace {address} lladdr {_LAPTOP_MAC} dev {_BOX_END} nud permanent"
            for address in (LAPTOP_IP, LAPTOP_NEW_IP)
        )
        self._ip(self._box, f"link set {_BOX_END} up", *neighbours)
        until(lambda: "state UP" in self._show("link"), "the near path")

    def _laptop_up(self) -> None:
        # No ARP: behind a router, a dead host is silence, not "No route to host", and the path
        # works in the moment it is back.
        neighbour = f"neigh replace {BOX_IP} lladdr {_BOX_MAC} dev {_LAPTOP_END} nud permanent"
        self._ip(self._laptop, f"link set {_LAPTOP_END} up", neighbour)

    def _move(self, old: str, new: str) -> None:
        """Change the laptop's address; what is connected from the old one hears nothing more."""
        self._ip(
            self._laptop,
            f"addr add {new}/24 dev {_LAPTOP_END}",
            f"addr del {old}/24 dev {_LAPTOP_END}",
            # deleting the first address takes the others of its network along
            f"addr replace {new}/24 dev {_LAPTOP_END}",
        )

    def _show(self, what: Literal["link", "addr"]) -> str:
        show = ["ip", "-o", what, "show", _LAPTOP_END]
        return execute(["nsenter", f"--net={self._laptop.net}", *show]).stdout

    def _in_box(self, *argv: str) -> list[str]:
        return ["nsenter", f"--net={self._box.net}", *argv]

    def _ip(self, holder: Holder, *commands: str) -> None:
        text = "".join(f"{command}\n" for command in commands)
        execute(["nsenter", f"--net={holder.net}", "ip", "-batch", "-"], text=text)
