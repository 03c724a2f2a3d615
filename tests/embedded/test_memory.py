"""What a long session frees goes back to the system."""

from __future__ import annotations

import subprocess
import sys

import pytest

from remotenb.laptop import memory

PROGRAM = """
import ctypes, pathlib, re, sys, threading
from remotenb.laptop import memory
if sys.argv[1] == "settled":
    assert memory.settle()
def work():
    for _ in range(50):
        blocks = [bytearray(size) for size in (2 << 20, 200_000, 3 << 20, 900)]
threads = [threading.Thread(target=work) for _ in range(8)]
for step in (threading.Thread.start, threading.Thread.join):
    for thread in threads:
        step(thread)
libc = ctypes.CDLL(None)
libc.fopen.restype = ctypes.c_void_p
file = ctypes.c_void_p(libc.fopen(sys.argv[2].encode(), b"w"))
libc.malloc_info(0, file)
libc.fclose(file)
print(pathlib.Path(sys.argv[2]).read_text().count("<heap "))
"""


@pytest.mark.skipif(sys.platform != "linux", reason="glibc's own")
def test_a_settled_process_has_one_heap_however_many_threads_work(tmp_path: object) -> None:
    def heaps(how: str) -> int:
        argv = [sys.executable, "-c", PROGRAM, how, f"{tmp_path}/malloc"]
        return int(subprocess.run(argv, check=True, capture_output=True, text=True).stdout)

    assert heaps("settled") == 1
    assert heaps("as it comes") > 1


@pytest.mark.skipif(sys.platform == "linux", reason="where there is no glibc")
def test_elsewhere_nothing_is_changed() -> None:
    assert not memory.settle()
