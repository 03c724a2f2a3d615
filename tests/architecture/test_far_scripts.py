"""The scripts for the far side are read by every POSIX sh there is."""

from __future__ import annotations

import shutil
import subprocess
from getpass import getuser
from pathlib import Path

import pytest

from remotenb import far
from remotenb.engines.host import entering
from remotenb.probe import parse
from remotenb.ssh.shell import Script

SCRIPTS = sorted(Path(far.__file__).parent.glob("*.sh"))
SHELLS = {
    "sh": ["sh"],
    "dash": ["dash"],
    "bash": ["bash", "--posix"],
    "busybox": ["busybox", "sh"],
}


@pytest.fixture(params=SHELLS)
def shell(request: pytest.FixtureRequest) -> list[str]:
    """Each POSIX sh that is on this machine."""
    argv = SHELLS[request.param]
    if shutil.which(argv[0]) is None:
        pytest.skip(f"{argv[0]} is not on this machine")
    return argv


def test_there_are_scripts() -> None:
    assert {file.name for file in SCRIPTS} >= {"probe.sh", "scan.sh", "serve.sh"}


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda file: file.name)
def test_each_shell_can_read_each_script(shell: list[str], script: Path) -> None:
    done = subprocess.run(
        [*shell, "-n", str(script)], check=False, capture_output=True, text=True, timeout=10
    )
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.parametrize(
    ("wanted", "folder"),
    [
        ("~/a venv", "a venv"),
        ("deep/er", "deep/er"),
        ("known", "elsewhere/known"),
        ("named", "miniconda3/envs/named"),
        ("base", "miniconda3"),
        ("kept", ".virtualenvs/kept"),
        ("no-such", ""),
        ("known; touch ran", ""),
    ],
)
def test_an_environment_is_found_by_its_folder_or_its_name(
    shell: list[str], tmp_path: Path, wanted: str, folder: str
) -> None:
    for one in ("a venv", "deep/er", "elsewhere/known", "miniconda3/envs/named", "miniconda3"):
        (tmp_path / one / "bin").mkdir(parents=True)
        (tmp_path / one / "bin/python").symlink_to("/bin/sh")
    (tmp_path / "miniconda3/conda-meta").mkdir()
    (tmp_path / ".virtualenvs").mkdir()
    (tmp_path / ".virtualenvs/kept").symlink_to(tmp_path / "deep/er")
    (tmp_path / ".conda").mkdir()
    (tmp_path / ".conda/environments.txt").write_text(f"/gone/known\n{tmp_path}/elsewhere/known\n")
    source = entering(wanted) + 'echo "$entered|$CONDA_PREFIX$VIRTUAL_ENV|$(command -v python)"'
    where = f"{tmp_path}/{folder}"
    said = answer_of(shell, source, tmp_path)[1].decode()
    assert said == (f"{where}|{where}|{where}/bin/python\n" if folder else "")


def answer_of(shell: list[str], source: str, home: Path, **variables: str) -> tuple[int, bytes]:
    script = Script.build(source, variables=variables)
    done = subprocess.run(
        [*shell, "-s"],
        check=True,
        input=script.text,
        capture_output=True,
        timeout=60,
        env={"PATH": "/usr/local/bin:/usr/bin:/bin:/usr/sbin:/sbin", "HOME": str(home)},
    )
    output = script.output(done.stdout)
    assert output is not None, done
    return output


def test_the_probe_run_by_each_shell_gives_what_parse_reads(
    shell: list[str], tmp_path: Path
) -> None:
    runtime = tmp_path / ".local/share/jupyter/runtime"
    runtime.mkdir(parents=True)
    file = runtime / "jpserver-999999999.json"
    file.write_text('{"port": 8888, "token": "s3cret",\n "base_url": "/x/"}', encoding="utf-8")
    variables = {"ENGINE": "host", "WANTED": "", "SCAN": far.source("scan.sh"), "ENTER": ""}
    code, out = answer_of(shell, far.source("probe.sh"), tmp_path, **variables)
    seen = parse(out)
    assert (code, seen.user, seen.home) == (0, getuser(), str(tmp_path))
    assert (seen.engine.name, seen.containers) == (None, ())
    (found,) = [one for one in seen.host.files if str(one.path) == str(file)]
    assert (found.port, found.base_url, found.alive) == (8888, "/x/", False)
    assert found.token.reveal() == "s3cret"
    assert found.modified == int(file.stat().st_mtime)
