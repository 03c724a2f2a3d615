"""Names of images: docker's grammar, and NVIDIA's short names."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from remotenb.errors import UsageError
from remotenb.images.reference import Reference, parse, release_tag, wanted

DIGEST = "sha256:" + "0123456789abcdef" * 4

UNDERSTOOD = {
    "busybox": "docker.io/library/busybox:latest",
    "busybox:1": "docker.io/library/busybox:1",
    "someone/tool": "docker.io/someone/tool:latest",
    "index.docker.io/busybox": "docker.io/library/busybox:latest",
    "nvcr.io/nvidia/pytorch:25.10-py3": "nvcr.io/nvidia/pytorch:25.10-py3",
    "localhost/a": "localhost/a:latest",
    "localhost:5000": "docker.io/library/localhost:5000",
    "localhost:5000/a/b__c.d-e": "localhost:5000/a/b__c.d-e:latest",
    "1.2.3.4:80/x": "1.2.3.4:80/x:latest",
    "[::1]:5000/a:1": "[::1]:5000/a:1",
    f"a@{DIGEST}": f"docker.io/library/a@{DIGEST}",
    f"r.io/a:1@{DIGEST}": f"r.io/a:1@{DIGEST}",
    "a:" + "t" * 128: "docker.io/library/a:" + "t" * 128,
}
REFUSED = (
    "",
    " ",
    "a b",
    "a\n",
    "Busybox",
    "r.io/A",
    "Foo/bar",
    "a:",
    "a:-x",
    "a:" + "t" * 129,
    "a:b:c",
    "-a",
    "a-",
    "a//b",
    "/a",
    "a/",
    "a___b",
    "a@sha256:12",
    "a@md5:" + "0" * 64,
    "a@",
    "0123456789abcdef" * 4,
    "r.io/" + "a" * 256,
    "$(reboot)",
    "a;b",
    "--all",
    "http://r.io/a",
    "ä",
    "r.io:port/a",
    "[::1/a",
)


@pytest.mark.parametrize("text", UNDERSTOOD)
def test_a_name_is_what_docker_takes_it_for(text: str) -> None:
    assert str(parse(text)) == UNDERSTOOD[text]


@pytest.mark.parametrize("text", REFUSED)
def test_what_docker_refuses_is_refused_with_a_hint(text: str) -> None:
    with pytest.raises(UsageError) as caught:
        parse(text)
    assert caught.value.hint
    assert "\n" not in caught.value.message


@pytest.mark.parametrize(
    ("short", "whole"),
    [
        ("pytorch:25.10", "nvcr.io/nvidia/pytorch:25.10-py3"),
        ("pytorch:25.10-py3", "nvcr.io/nvidia/pytorch:25.10-py3"),
        ("tensorflow:20.10", "nvcr.io/nvidia/tensorflow:20.10-tf2-py3"),
        ("tritonserver:24.01-py3-sdk", "nvcr.io/nvidia/tritonserver:24.01-py3-sdk"),
        ("busybox:1", "docker.io/library/busybox:1"),
        ("pytorch/pytorch:2.1", "docker.io/pytorch/pytorch:2.1"),
        (f"pytorch@{DIGEST}", f"docker.io/library/pytorch@{DIGEST}"),
    ],
)
def test_nvidias_frameworks_have_short_names(short: str, whole: str) -> None:
    assert str(wanted(short)) == whole


def test_a_framework_without_a_release_is_not_guessed() -> None:
    with pytest.raises(UsageError) as caught:
        wanted("pytorch")
    assert "pytorch:25.10" in caught.value.hint


def test_a_release_alone_is_no_tag_of_nvidias() -> None:
    guess = release_tag(parse("nvcr.io/nvidia/pytorch:25.10"))
    assert str(guess) == "nvcr.io/nvidia/pytorch:25.10-py3"
    assert release_tag(parse("nvcr.io/nvidia/pytorch:25.10-py3")) is None
    assert release_tag(parse("quay.io/nvidia/pytorch:25.10")) is None


@pytest.mark.parametrize("text", ["busybox:1", "someone/tool:2", "r.io/library/x:1", f"a@{DIGEST}"])
def test_a_familiar_name_is_as_short_as_docker_shows_it(text: str) -> None:
    assert parse(text).familiar == text


WORDS = st.from_regex(r"[a-z0-9]+((\.|_|__|-+)[a-z0-9]+)?", fullmatch=True).filter(
    lambda word: len(word) < 40
)
NAMES = st.builds(
    Reference,
    st.sampled_from(["docker.io", "nvcr.io", "localhost:5000", "[::1]:1", "127.0.0.1"]),
    st.lists(WORDS, min_size=2, max_size=4).map("/".join),
    st.from_regex(r"[a-zA-Z0-9_][a-zA-Z0-9_.-]{0,20}", fullmatch=True),
    st.sampled_from(["", DIGEST]),
)


@given(NAMES)
def test_a_whole_name_and_a_familiar_one_mean_the_same(name: Reference) -> None:
    assert parse(str(name)) == name
    assert parse(name.familiar) == name


@given(st.text(st.sampled_from("aA0.:/@-_[] \n$'é"), max_size=30))
def test_any_text_is_a_name_or_refused(text: str) -> None:
    try:
        name = parse(text)
    except UsageError:
        return
    assert parse(str(name)) == name
    assert not set(str(name)) & set(" \n$'é")
