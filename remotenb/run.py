"""A container without a notebook: made as one with a notebook is, and left to itself or joined."""

from __future__ import annotations

import secrets
import shlex
from dataclasses import replace
from typing import TYPE_CHECKING

from remotenb import far
from remotenb.engines import container_engine
from remotenb.engines.docker import LABEL_GPUS, LABEL_RUN
from remotenb.errors import GpuTaken
from remotenb.execute import Execution
from remotenb.images.room import check_copy
from remotenb.launch import COPY_TIMEOUT_S
from remotenb.machine import ENGINE_TIMEOUT_S
from remotenb.probe import probe
from remotenb.required import named_in_full, require_image
from remotenb.scan import records
from remotenb.setback import who_was_faster, why_not_started
from remotenb.settings import parse_gpus
from remotenb.spec import Wish, choose_gpus, container_spec

if TYPE_CHECKING:
    from collections.abc import Sequence

    from remotenb.decision import ContainerSpec
    from remotenb.machine import Machine


def spec_of_run(machine: Machine, *, name: str | None, options: Sequence[str]) -> ContainerSpec:
    """The container to make, with a name of its own; raises a :class:`FarSideError`.

    ``options`` are further ones for the engine.
    """
    wish = named_in_full(machine.probe, Wish(machine.settings))
    require_image(machine.probe, wish.settings.image)
    spec = container_spec(machine.probe, wish)
    return replace(
        spec,
        name=name or f"remotenb-{machine.probe.user}-{secrets.token_hex(3)}",
        state_dir="",
        ulimits=() if spec.engine.rootless else spec.ulimits,
        run_args=(*spec.run_args, f"--label={LABEL_RUN}=yes", *options),
    )


def make(
    machine: Machine, spec: ContainerSpec, command: Sequence[str], *, detach: bool = False
) -> str:
    """Make it, and with ``detach`` start it; its id. Raises a :class:`RemotenbError`.

    On other GPUs where somebody took those in the same moment.
    """
    try:
        return _made(machine, spec, command, detach=detach)
    except GpuTaken as taken:
        machine.report.warning("gpus_taken", taken.message, "others are chosen now")
        now = probe(machine.link, engine=machine.settings.engine, enter=False)
        gpus = choose_gpus(parse_gpus(machine.settings.gpus), now, spec.engine)
        again = replace(machine, probe=now)
        return _made(again, replace(spec, gpus=gpus), command, detach=detach)


def _made(machine: Machine, spec: ContainerSpec, command: Sequence[str], *, detach: bool) -> str:
    who = spec.identity
    check_copy(machine.link, spec, machine.report.warning)
    argv = container_engine(spec.engine).create(spec, command, launch=secrets.token_hex(8))
    done = machine.link.script(
        far.source("make_container.sh") + far.source("run.sh"),
        *argv,
        timeout=COPY_TIMEOUT_S if spec.copies_image else ENGINE_TIMEOUT_S,
        USER_HOME=who.home if who else "",
        PASSWD=who.passwd if who else "",
        GROUP=who.group if who else "",
        FOLDERS="\n".join(mount.source for mount in spec.mounts),
        ENGINE=shlex.join(spec.engine.argv),
        CHOSEN=LABEL_GPUS if spec.gpus and spec.gpus_chosen else "",
        DETACH="yes" if detach else "",
    )
    if done.code != 0:
        raise why_not_started(
            done.err, user=machine.probe.user, engine=spec.engine.name or "docker"
        )
    facts = records(done.out.decode("utf-8", "replace"))
    made = next(record[4:] for record, _ in facts if record.startswith("@id "))
    if taken := who_was_faster(facts, spec, {one.id for one in machine.probe.containers}):
        machine.link.script(
            '$ENGINE rm -f "$1" >/dev/null',
            made,
            timeout=ENGINE_TIMEOUT_S,
            ENGINE=shlex.join(spec.engine.argv),
        )
        raise taken
    return made


def begin(
    machine: Machine, spec: ContainerSpec, container: str, *, term: str, size: tuple[int, int]
) -> Execution:
    """Start what :func:`make` made of it, and join it; on a terminal if there is a ``term``.

    It is stopped when the link ends, as soon as the machine's sshd has noticed.
    """
    marker = f"remotenb-{secrets.token_hex(12)}"
    channel = machine.link.begin(
        far.source("foreground.sh") + far.source("attended.sh"),
        (),
        {"MARKER": marker, "ENGINE": shlex.join(spec.engine.argv), "ID": container},
        term=term,
        size=size,
    )
    return Execution(channel, machine, marker.encode())


def never_started(machine: Machine, spec: ContainerSpec, container: str) -> bool:
    """Whether its engine could not start it; what was made of it is taken away then."""
    done = machine.link.script(
        """
        status=$($ENGINE inspect -f '{{.State.Status}}' "$1" 2>/dev/null)
        [ "$status" != created ] || $ENGINE rm "$1" >/dev/null
        echo "${status:-created}"  # with --rm it is gone by now
        """,
        container,
        timeout=ENGINE_TIMEOUT_S,
        ENGINE=shlex.join(spec.engine.argv),
    )
    return done.out.strip() == b"created"
