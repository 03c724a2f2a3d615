"""What is fetched for another machine's Python, and what is not."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from packaging.requirements import Requirement
from packaging.version import Version

from remotenb.errors import UsageError
from remotenb.install.lacking import Python, Wheel, lacking, parse, parse_file, wheel_of

MARKERS = {
    "implementation_name": "cpython",
    "implementation_version": "3.8.10",
    "os_name": "posix",
    "platform_machine": "x86_64",
    "platform_python_implementation": "CPython",
    "platform_release": "5.4",
    "platform_system": "Linux",
    "platform_version": "",
    "python_full_version": "3.8.10",
    "python_version": "3.8",
    "sys_platform": "linux",
}


def python(**installed: str) -> Python:
    """A Python 3.8 of Ubuntu 20.04."""
    named = {name.replace("_", "-"): version for name, version in installed.items()}
    return Python(
        pip=True,
        abi="cp38",
        libc=("glibc", "2.31"),
        machine="x86_64",
        markers=MARKERS,
        installed=named,
        constraints="",
        index="",
    )


def wheels(**named: tuple[str, list[str]]) -> dict[str, Wheel]:
    return {
        name: Wheel(name, Version(version), tuple(requires))
        for name, (version, requires) in named.items()
    }


def asked(*texts: str) -> list[Requirement]:
    return [parse(text) for text in texts]


def test_what_is_there_and_fits_is_not_fetched() -> None:
    assert lacking(asked("torch>=2"), {}, python(torch="2.9.0a0+nv25.10")) == []
    assert lacking(asked("torch>=3"), {}, python(torch="2.9.0a0+nv25.10")) == ["torch>=3"]
    assert lacking(asked("Torch_Metrics"), {}, python()) == ["torch-metrics"]


def test_what_a_wheel_wants_is_fetched_by_the_markers_of_the_machine_over_there() -> None:
    there = wheels(
        a=(
            "1",
            [
                "b>=2",
                "colorama; sys_platform == 'win32'",
                "backport; python_version < '3.9'",
                "numpy",
                "extra-thing; extra == 'all'",
            ],
        )
    )
    assert lacking(asked("a"), there, python(numpy="1.24")) == ["b>=2", "backport"]
    assert "extra-thing" in lacking(asked("a[all]"), there, python(numpy="1.24"))


def test_what_two_want_in_different_ways_is_fetched_so_that_both_have_it() -> None:
    there = wheels(a=("1", ["c<2"]), b=("1", ["c>=1"]), c=("2.5", []))
    (wanted,) = lacking(asked("a", "b"), there, python())
    specifier = Requirement(wanted).specifier
    assert specifier.contains("1.5")
    assert not specifier.contains("2.5")
    assert lacking(asked("a", "b"), there | wheels(c=("1.5", [])), python()) == []


def test_those_that_want_each_other_come_to_an_end() -> None:
    there = wheels(a=("1", ["b[x]"]), b=("1", ["a; extra == 'x'", "c; extra == 'x'"]))
    assert lacking(asked("a"), there, python()) == ["c"]


def test_the_platforms_are_those_of_the_libc_over_there() -> None:
    tags = python().platforms
    assert tags[0] == "manylinux_2_31_x86_64"
    assert {"manylinux2014_x86_64", "manylinux_2_17_x86_64", "linux_x86_64"} <= set(tags)
    assert not any("2_32" in tag for tag in tags)


@pytest.mark.parametrize(
    "text",
    ["--index-url=http://x", "-e .", "six;reboot", "$(reboot)", "./x.whl", "/x", "a b", "", "a\nb"],
)
def test_what_is_no_package_is_refused(text: str) -> None:
    with pytest.raises(UsageError):
        parse(text)


@given(st.text(max_size=20))
def test_nothing_that_begins_with_a_dash_is_ever_taken(text: str) -> None:
    with pytest.raises(UsageError):
        parse("-" + text)


def test_a_requirements_file_is_read_and_its_options_are_named() -> None:
    text = "# mine\nsix\n\ntorch>=2  # for the model\nb; python_version < '3'\n"
    assert [one.name for one in parse_file(text, "r.txt")] == ["six", "torch", "b"]
    with pytest.raises(UsageError, match="line 2 has an option"):
        parse_file("six\n-r other.txt\n", "r.txt")
    with pytest.raises(UsageError, match="line 1 has an option"):
        parse_file("six==1 \\\n    --hash=sha256:00\n", "r.txt")


def test_a_wheels_metadata_is_read() -> None:
    text = "Metadata-Version: 2.1\nName: A_b\nVersion: 1.0\nRequires-Dist: c>1\n\nRequires-Dist: no"
    assert wheel_of(text) == Wheel("a-b", Version("1.0"), ("c>1",))
