"""The box's docker: a real dockerd on its default paths, and the few API calls the rig makes."""

import http.client
import json
import os
import socket
import subprocess
import sys
from collections.abc import Mapping, Sequence
from contextlib import closing
from typing import Any, Final
from urllib.parse import quote

from . import archive
from .failures import RigError, until
from .images import Layer
from .machine import Machine
from .namespaces import BARE_ENV, start

# Where docker finds NVIDIA's hook; in nobody's PATH but dockerd's.
TOOLKIT: Final = "/usr/local/nvidia/toolkit"
_LOG: Final = "/var/log/dockerd.log"
_STOP: Final = 15.0


class UnixConnection(http.client.HTTPConnection):
    """HTTP to a unix socket."""

    def __init__(self, path: str) -> None:
        super().__init__("docker", timeout=30)
        self._path = path

    def connect(self) -> None:
        if sys.platform == "linux":
            self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(self.timeout)
        self.sock.connect(self._path)


class Dockerd:
    """A dockerd on a machine; a power cut of the machine ends it as well."""

    def __init__(self, machine: Machine, layers: Mapping[str, Sequence[Layer]]) -> None:
        """Take a machine, and the images that its docker is to hold."""
        self._machine = machine
        self._layers = layers
        self._ids = archive.image_ids(layers)
        self._process: subprocess.Popen[bytes] | None = None
        self.toolkit = False

    @property
    def is_on(self) -> bool:
        """Whether it runs."""
        return self._process is not None and self._process.poll() is None

    def start(self, *, toolkit: bool = True) -> None:
        """Start it, with or without NVIDIA's hook, which it looks for only then."""
        self.begin(toolkit=toolkit)
        self.wait()

    def begin(self, *, toolkit: bool = True) -> None:
        """Start it without waiting until it answers."""
        self.toolkit = toolkit
        path = f"{TOOLKIT}:{BARE_ENV['PATH']}" if toolkit else BARE_ENV["PATH"]
        shell = f"PATH={path} exec dockerd >>{_LOG} 2>&1"
        self._process = start(self._machine.enter(["sh", "-c", shell]))

    def wait(self) -> None:
        """Wait until it answers."""
        until(lambda: self._answers() or not self.is_on, "dockerd", seconds=30)
        if not self.is_on:
            log = self._machine.path(_LOG).read_text()
            message = f"dockerd ended: {log[-2000:]}"
            raise RigError(message)

    def stop(self) -> None:
        """Stop it as a service is stopped, but without the 10 s of grace for containers."""
        if self._process is None or not self.is_on:
            return
        if not self._answers():
            self.kill()
            return
        inits = [str(self._inspect(one)["State"]["Pid"]) for one in self._list("containers")]
        pids = [self._machine.path("/run/docker.pid").read_text().strip()]
        self._machine.run(["kill", "-TERM", *pids])
        if inits:
            self._machine.run(["kill", "-KILL", *inits], check=False)
        self._process.wait(_STOP)

    def kill(self) -> None:
        """Kill it; its containers go on, and the next dockerd ends them."""
        if self._process is not None:
            self._machine.run(["pkill", "-KILL", "-x", "dockerd|containerd"], check=False)
            self._process.wait(_STOP)

    def switch(self, *, toolkit: bool) -> None:
        """Restart it with or without NVIDIA's hook; containers that run end."""
        if self.is_on and not self._list("containers"):
            self.kill()  # nobody notices, and a clean end takes a second
        self.stop()
        self.start(toolkit=toolkit)

    def forget(self) -> None:
        """Note that the power was cut."""
        if self._process is not None:
            self._process.wait()

    def clean(self) -> None:
        """Remove containers, volumes, networks and images of tests; restore the rig's images."""
        for container in self._list("containers", "?all=1"):
            self.call("DELETE", f"/containers/{container['Id']}?force=1&v=1")
        self.call("POST", "/networks/prune")
        for volume in self.call("GET", "/volumes")["Volumes"] or ():
            self.call("DELETE", f"/volumes/{volume['Name']}?force=1")
        present = self._tags()
        for name in present.keys() - self._ids.keys():
            self.call("DELETE", f"/images/{quote(name)}?force=1")
        self._load({tag for tag, image in self._ids.items() if present.get(tag) != image})

    def call(self, method: str, path: str) -> Any:
        """Make one call of docker's API."""
        socket_path = str(self._machine.path("/run/docker.sock"))
        with closing(UnixConnection(socket_path)) as connection:
            try:
                connection.request(method, path)
                answer = connection.getresponse()
                body = answer.read()
            except (OSError, http.client.HTTPException) as error:
                message = f"docker: {method} {path}: {error}"
                raise RigError(message) from error
        # 404, 409: gone already, or in the middle of going
        if answer.status >= http.HTTPStatus.BAD_REQUEST and answer.status not in {404, 409}:
            message = f"docker: {method} {path}: {answer.status} {body.decode()}"
            raise RigError(message)
        return json.loads(body) if body.strip().startswith((b"{", b"[")) else body

    def _answers(self) -> bool:
        try:
            return bool(self.call("GET", "/_ping") == b"OK")
        except RigError:
            return False

    def _list(self, what: str, query: str = "") -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = self.call("GET", f"/{what}/json{query}")
        return found

    def _inspect(self, container: dict[str, Any]) -> dict[str, Any]:
        found: dict[str, Any] = self.call("GET", f"/containers/{container['Id']}/json")
        return found

    def _tags(self) -> dict[str, str]:
        """Return every tag with its image's id; an image that has no tag goes by its id."""
        tags = {}
        for image in self._list("images"):
            named = [tag for tag in image["RepoTags"] or () if tag != "<none>:<none>"]
            tags.update(dict.fromkeys(named or [image["Id"]], image["Id"]))
        return tags

    def _load(self, tags: set[str]) -> None:
        if not tags:
            return
        read, write = os.pipe()
        process = start(
            self._machine.enter(["docker", "load", "--quiet"]), stdin=read, stderr=subprocess.PIPE
        )
        os.close(read)
        with process, os.fdopen(write, "wb") as pipe:
            archive.write({tag: self._layers[tag] for tag in sorted(tags)}, pipe)
            pipe.close()
            _, complaint = process.communicate(timeout=300)
        if process.returncode:
            message = f"docker load: {complaint.decode()}"
            raise RigError(message)
