"""Tests of Windows alone: run under Wine by tests/windows/test_suite.py, or on a real one."""

import os

collect_ignore_glob = [] if os.name == "nt" else ["test_*.py"]
