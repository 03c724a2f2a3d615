"""The box's sshd: Debian's defaults, but for what tests make necessary."""

from typing import Final

from .failures import until
from .machine import Machine

HOST_KEY: Final = "/etc/ssh/ssh_host_ed25519_key"
NOLOGIN: Final = "/etc/nologin"
PAM_FILE: Final = "/etc/pam.d/sshd"
PAM: Final = """auth required pam_deny.so
account requisite pam_nologin.so
account required pam_permit.so
session required pam_permit.so
"""
PAM_PASSWORD: Final = "pam_unix.so nodelay"
OTP_SECRET: Final = "/etc/otp/secret"
PAM_CODE: Final = f"pam_google_authenticator.so secret={OTP_SECRET} user=root no_increment_hotp"
CERTIFICATES: Final = "TrustedUserCAKeys /etc/ssh/authority.pub\nAuthorizedKeysFile none\n"
AUTHORIZED_KEYS: Final = "/etc/ssh/rig_authorized_keys"
_PID_FILE: Final = "/run/sshd.pid"

# UsePAM no: PAM on the tester's machine is not the rig's to rely on. Only PAM refuses a login
# because of nologin, so that is when sshd gets the small PAM above.
# MaxStartups: a test that reconnects in a loop must not meet sshd's random early drop.
_CONFIG: Final = f"""HostKey {HOST_KEY}
PidFile {_PID_FILE}
UsePAM no
KbdInteractiveAuthentication no
X11Forwarding yes
PrintMotd no
AcceptEnv LANG LC_*
MaxStartups 100:30:200
LogLevel VERBOSE
Subsystem sftp /usr/lib/openssh/sftp-server
"""


def config(extra: str, port: int) -> str:
    """Return sshd_config with extra lines, which win: sshd takes the first value it meets."""
    lines = extra.splitlines()
    matches = [n for n, line in enumerate(lines) if line.lower().lstrip().startswith("match")]
    first = min(matches, default=len(lines))
    # everything after a Match line belongs to it
    parts = [*lines[:first], f"Port {port}", _CONFIG, *lines[first:]]
    return "\n".join(parts) + "\n"


def pam(*auth: str) -> str:
    """Return a stack that asks with these modules, and keeps accounts as shadow has them."""
    asked = [f"auth required {one}" for one in auth]
    kept = [f"{kind} required pam_unix.so" for kind in ("account", "password")]
    return "\n".join([*asked, *kept, "session required pam_permit.so"]) + "\n"


def restart(machine: Machine, *, extra: str = "", port: int = 22) -> None:
    """Replace the listening sshd; sessions that are open stay open, as on a real server."""
    stop(machine)
    pam = "UsePAM yes\n" if machine.path(NOLOGIN).exists() else ""
    machine.path("/etc/ssh/sshd_config").write_text(config(pam + extra, port))
    machine.run(["/usr/sbin/sshd", "-E", "/var/log/sshd.log"])
    until(machine.path(_PID_FILE).exists, "sshd")


def stop(machine: Machine) -> None:
    """End the listening sshd: new connections are refused, open ones go on."""
    pid_file = machine.path(_PID_FILE)
    if pid_file.exists():
        pid = pid_file.read_text().strip()
        machine.run(["kill", "-KILL", pid], check=False)
        until(lambda: not machine.path(f"/proc/{pid}").exists(), "the old sshd's end")
        pid_file.unlink(missing_ok=True)


def signal(machine: Machine, name: str, *, user: str | None = None) -> None:
    """Send a signal to every sshd, or to the one of each of a user's sessions."""
    whose = ["-u", user] if user else []
    machine.run(["pkill", f"-{name}", *whose, "^sshd"], check=False)
