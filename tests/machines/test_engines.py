"""Every verb with each kind of engine: podman with and without root, docker with either store.

The box is one with a registry, and in the end one without. What it has is asked of the engine's
own client, never of remotenb.
"""

from __future__ import annotations

import json
import secrets
import tarfile
from collections.abc import Callable
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol

import pytest

from tests.machines.conftest import (
    LAB4,
    SECOND_DOCKER,
    TINY,
    did,
    listed,
    on,
    refused,
    second_docker,
)
from tests.machines.test_transfer import layer, saved
from tests.notebook import Notebook
from tests.rig import newer
from tests.rig.failures import until
from tests.rig.podman import Podman, podman, roots_podman
from tests.rig.registry import contents
from tests.wheels import wheel

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path
    from subprocess import CompletedProcess

    from tests.laptop import Done, Event, Laptop
    from tests.rig.box import Box
    from tests.rig.lab import Lab
    from tests.rig.registry import Registry


class Client(Protocol):
    """The engine's own, on the box."""

    def __call__(self, *args: str, check: bool = True) -> CompletedProcess[str]: ...


@dataclass(frozen=True)
class Ground:
    """A login, and the engine that it means."""

    host: str
    user: str
    client: Client
    load: Callable[[str], None]
    """Gives it an image of the rig's."""
    settings: dict[str, str] = field(default_factory=dict)
    parts: bool = False
    """It takes an image without the layers that it has."""
    ids: bool = True
    """Its image ids are those of configurations."""
    id_field: str = ".Id"

    def id(self, image: str) -> str:
        """The image's id there; empty for none."""
        template = f"{{{{{self.id_field}}}}}"
        shown = self.client("image", "inspect", "-f", template, image, check=False).stdout
        return f"sha256:{shown.strip().removeprefix('sha256:')}" if shown.strip() else ""


@contextmanager
def rootless(box: Box) -> Iterator[Ground]:
    """Alice's podman, on a box that has docker too."""
    with podman(box, "alice", 1000) as own:
        yield Ground(
            "gpu-box", "alice", own, own.load, {"REMOTENB_ENGINE": "podman"}, id_field=".ID"
        )
        own.forget()


@contextmanager
def rootful(box: Box) -> Iterator[Ground]:
    """Root's podman, which carol may call by sudo; she has one of her own, with nothing in it."""
    with roots_podman(box, "carol", 1002) as roots:
        roots.load(TINY)  # else her own podman would be meant
        yield Ground("gpu-box-carol", "carol", roots, roots.load, id_field=".ID")
        roots.forget()


CONTAINERD = "/etc/docker/containerd.json"


@contextmanager
def containerd(box: Box) -> Iterator[Ground]:
    """Bob's docker, a newer one, with containerd's image store."""
    program = newer.dockerd()
    if program is None:
        pytest.skip("no newer docker: python -m tests.rig prepare fetches it")
    settings = {"features": {"containerd-snapshotter": True}}
    box.write(CONTAINERD, json.dumps(settings))
    # to fetch a token it looks for certificates nowhere else
    trust = "SSL_CERT_FILE=/etc/docker/certs.d/nvcr.io/ca.crt"
    address = f"unix://{SECOND_DOCKER}"

    def client(*args: str, check: bool = True) -> CompletedProcess[str]:
        return box.run(["docker", "-H", address, *args], user="bob", check=check, timeout=60)

    def load(image: str) -> None:
        copy = f'docker save "$1" | docker -H {address} load'
        box.run(["sh", "-ec", copy, "sh", image], timeout=120)

    with second_docker(box, "--config-file", CONTAINERD, program=f"env {trust} {program}"):
        yield Ground("gpu-box-bob", "bob", client, load, ids=False)


@contextmanager
def classic(box: Box) -> Iterator[Ground]:
    """Alice's docker, as it is in all other tests."""
    yield Ground("gpu-box", "alice", box.docker, lambda _: None, parts=True)


Kind = Callable[["Box"], AbstractContextManager[Ground]]
KINDS: tuple[Kind, ...] = (classic, containerd, rootless, rootful)


def grounds(*quick: Kind) -> pytest.MarkDecorator:
    """Each kind of engine after the other; only the ``quick`` ones where time is short."""
    kinds = [
        pytest.param(kind, id=kind.__name__, marks=[] if kind in quick else [pytest.mark.long])
        for kind in KINDS
    ]
    return pytest.mark.parametrize("ground", kinds, indirect=True)


@pytest.fixture
def ground(request: pytest.FixtureRequest, lab: Lab, laptop: Laptop) -> Iterator[Ground]:
    """One kind of engine."""
    kind: Kind = request.param
    with kind(lab.box) as one:
        laptop.variables.update(one.settings)
        yield one


def told(laptop: Laptop, *args: str) -> tuple[Event, list[str]]:
    """The last event of a command that must succeed, and the codes of its warnings."""
    done = laptop.run(*on(laptop, *args))
    assert done.code == 0, done
    return done.events[-1], [event["code"] for event in done.events if event["event"] == "warning"]


@grounds(rootless, containerd)
def test_images_come_and_go(
    laptop: Laptop, box: Box, registry: Registry, ground: Ground, tmp_path: Path
) -> None:
    host = ground.host
    assert did(laptop, "pull", host, contents.CLARA)["what"] == "pulled"
    assert ground.id(contents.CLARA)
    did(laptop, "rmi", host, contents.CLARA)
    assert not ground.id(contents.CLARA)
    registry.shut_from(box)
    done, warnings = told(laptop, "push", host, contents.CLARA, "--registry")
    assert done["layers"] == contents.CLARA_LAYERS
    assert (done["id"] == ground.id(contents.CLARA)) == ground.ids
    assert warnings == ([] if ground.parts else ["whole_image"])

    team = f"team-{secrets.token_hex(3)}"  # podman's store outlives a test
    work = f"{team}/work:1"
    base, top = layer(tmp_path, "base", 2), layer(tmp_path, "top", 1)
    file, _ = saved(tmp_path, f"{team}/base:1", base)
    did(laptop, "load", host, str(file))
    file, image = saved(tmp_path, work, base, top)
    done, warnings = told(laptop, "push", host, work, "--file", str(file))
    assert (done["layers"], warnings) == ((1, []) if ground.parts else (2, ["whole_image"]))
    assert (done["id"], ground.id(work) == image) == (image, ground.ids)
    done, warnings = told(laptop, "push", host, work, "--file", str(file))
    assert (done["layers"], done["sent"], warnings) == (0, 0, [])

    out = tmp_path / "out.tar"
    did(laptop, "save", host, work, "-o", str(out))
    did(laptop, "rmi", host, work)
    assert not ground.id(work)
    assert did(laptop, "load", host, str(out))["id"] == image
    there = ground.client("images", "--format", "{{.Repository}}:{{.Tag}}").stdout
    assert "remotenb/partial" not in there
    assert "<none>" not in there
    transfers = f"/home/{ground.user}/.local/state/remotenb/transfer"
    assert box.run(["ls", "-A", transfers]).stdout == ""


@pytest.mark.timeout(300)
@grounds()
def test_a_notebook_its_files_its_packages_and_the_image_of_it(
    laptop: Laptop, box: Box, ground: Ground
) -> None:
    host, user = ground.host, ground.user
    ground.load(LAB4)
    with laptop.connected(host, "--image", LAB4, "--volume", "~/work:/work") as session:
        name = session.ready["container"]
        Notebook(session.ready["url"]).run("open('/work/made', 'w').close()")
        assert box.run(["stat", "-c", "%U", f"/home/{user}/work/made"]).stdout == f"{user}\n"
        carries_files(laptop, box, ground)
        installs(laptop, host)
        ran = laptop.run(
            "exec", "-F", str(laptop.ssh_config), host, "--", "sh", "-c", "id -un; exit 7"
        )
        assert (ran.code, ran.out) == (7, f"{user}\n")
        (row,) = listed(laptop, "ps", host)
        assert (row["name"], row["ownership"]) == (name, "mine")
        done, warnings = told(laptop, "commit", host, "team/mine:1")
        assert (done["what"], warnings) == ("committed", [])
    did(laptop, "stop", host)
    did(laptop, "rm", host, name)
    with laptop.connected(host, "--image", "team/mine:1") as session:
        ask = "import mine, os; print(mine.me, os.getuid())"
        uid = box.run(["id", "-u", user]).stdout
        assert Notebook(session.ready["url"]).run(ask) == f"py3-none-any {uid}"
    did(laptop, "rm", host, session.ready["container"], "--force")
    did(laptop, "rmi", host, "team/mine:1")
    assert ground.client("ps", "-aq").stdout == ""
    assert "<none>" not in ground.client("images", "-a").stdout


def carries_files(laptop: Laptop, box: Box, ground: Ground) -> None:
    """Both ways, into a folder that is mounted and into one that is not."""
    (laptop.home / "there").write_text("and back")
    for place in ("/work/file", "/tmp/file"):
        did(laptop, "cp", ground.host, str(laptop.home / "there"), f":{place}")
        did(laptop, "cp", ground.host, f":{place}", str(laptop.home / f"back{len(place)}"))
        assert (laptop.home / f"back{len(place)}").read_text() == "and back"
    owner = box.run(["stat", "-c", "%U", f"/home/{ground.user}/work/file"]).stdout
    assert owner == f"{ground.user}\n"


def installs(laptop: Laptop, host: str) -> None:
    """A package that the laptop has, for a box that reaches no index."""
    index = laptop.home / "index"
    index.mkdir()
    wheel(index, "mine")
    pip = {"PIP_NO_INDEX": "1", "PIP_FIND_LINKS": str(index)}
    done = laptop.run(*on(laptop, "install", host, "mine"), environment=pip)
    assert done.code == 0, done
    assert done.events[-1]["carried"] == ["mine-1.0-py3-none-any.whl"]


def plainly(laptop: Laptop, verb: str, *args: str) -> Done:
    """A command without --json."""
    return laptop.run(verb, "-F", str(laptop.ssh_config), *args)


@grounds()
def test_a_command_in_a_container_of_its_own(laptop: Laptop, box: Box, ground: Ground) -> None:
    host, user = ground.host, ground.user
    ground.load(TINY)
    box.run(["mkdir", "-p", f"/home/{user}/work"], user=user)
    command = ("sh", "-c", "id -u; touch /work/ran; exit 5")
    ran = plainly(laptop, "run", host, "--rm", "--volume", "~/work:/work", TINY, "--", *command)
    assert (ran.code, ran.out) == (5, box.run(["id", "-u", user]).stdout), ran
    assert box.run(["stat", "-c", "%U", f"/home/{user}/work/ran"]).stdout == f"{user}\n"
    did(laptop, "run", host, "-d", "--name", "job", TINY, "--", "sh", "-c", "echo said; sleep 99")
    until(
        lambda: plainly(laptop, "logs", host, "--container=job").out == "said\n",
        "its log",
        seconds=20,
    )
    did(laptop, "kill", host, "job")
    did(laptop, "prune", host, "--yes")
    assert ground.client("ps", "-aq").stdout == ""
    assert refused(laptop, "rmi", host, "team/none:1")["error"] == "ImageMissing"


OCI = """
podman save --quiet --format oci-archive -o "$1/saved.tar" "$2"
podman push --quiet "$2" "oci-archive:$1/pushed.tar:team/other:2"
"""


def test_an_archive_as_oci_has_it_is_loaded_whichever_engine_wrote_it(
    laptop: Laptop, box: Box, tmp_path: Path
) -> None:
    file, _ = saved(tmp_path, "team/work:1", layer(tmp_path, "a", 1), layer(tmp_path, "b", 1))
    with podman(box, "alice", 1000) as own:
        did(laptop, "load", "gpu-box", str(file), "--config", podmans(laptop))
        box.run(["sh", "-ec", OCI, "sh", "/home/alice", "team/work:1"], user="alice", timeout=60)
        own.forget()
    for name, ref in (("saved.tar", "team/work:1"), ("pushed.tar", "team/other:2")):
        archive = laptop.home / name
        archive.write_bytes(box.path(f"/home/alice/{name}").read_bytes())
        with tarfile.open(archive) as tar:
            assert "manifest.json" not in tar.getnames()
            # podman writes the configuration anew
            written = [f"sha256:{one.rpartition('/')[2]}" for one in tar.getnames()]
        done = did(laptop, "load", "gpu-box", str(archive))
        assert (done["image"], done["layers"]) == (ref, 2)
        image = box.docker("image", "inspect", "-f", "{{.Id}}", ref).stdout.strip()
        assert image == done["id"]
        assert image in written
        box.docker("rmi", ref)


def podmans(laptop: Laptop) -> str:
    """A config file by which podman is meant."""
    config = laptop.home / "podman.toml"
    config.write_text('[hosts.gpu-box]\nengine = "podman"\n')
    return str(config)


def test_what_roots_podman_has_is_asked_of_roots_podman_whoever_makes_new_containers(
    laptop: Laptop, box: Box, tmp_path: Path
) -> None:
    host = "gpu-box-carol"
    with roots_podman(box, "carol", 1002) as roots:
        roots.load(TINY)
        file, _ = saved(tmp_path, "team/own:1", layer(tmp_path, "a", 1))
        box.write("/home/carol/image.tar", "", owner="carol")
        box.path("/home/carol/image.tar").write_bytes(file.read_bytes())
        own = Podman(box, "carol")
        own("load", "-q", "-i", "/home/carol/image.tar")  # so hers makes new containers
        (laptop.home / "out.tar").unlink(missing_ok=True)
        did(laptop, "save", host, TINY, "-o", str(laptop.home / "out.tar"))

        box.run(["mkdir", "-p", "/home/carol/work"], user="carol")
        leave = ("sh", "-c", "mkdir /w/deep && touch /w/deep/one && sleep 1000")
        label = "--label=remotenb.user=carol"
        roots("run", "-d", "--name", "left", label, "-v", "/home/carol/work:/w", TINY, *leave)
        others = ["find", "/home/carol/work", "!", "-user", "carol"]
        until(lambda: len(box.run(others).stdout.split()) == 2, "what is root's", seconds=10)
        assert did(laptop, "chown", host)["files"] == 2
        assert did(laptop, "chown", host, "--yes")["changed"] is True
        assert box.run(others).stdout == ""
        ran = plainly(laptop, "exec", host, "--", "id", "-u")
        assert (ran.code, ran.out) == (0, "0\n")
        own.forget()
        roots.forget()
