"""Scores on one host equal those on several."""

import json
import socket
import subprocess
import sys

import chex
import pytest

from tests.evals.host_run import scores


def free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("localhost", 0))
        return listener.getsockname()[1]


@pytest.mark.multiprocess
def test_two_hosts_equal_one_device_and_eight(mesh1, mesh8):
    port = str(free_port())
    command = [sys.executable, "-m", "tests.evals.host_run", port]
    hosts = [
        subprocess.Popen([*command, str(host), "2"], stdout=subprocess.PIPE) for host in (0, 1)
    ]
    printed = [host.communicate(timeout=300)[0].splitlines() for host in hosts]
    assert [host.returncode for host in hosts] == [0, 0]
    found = [json.loads(lines[-1]) for lines in printed]  # Gloo prints first
    chex.assert_trees_all_equal(*found)
    for mesh in (mesh1, mesh8):
        chex.assert_trees_all_close(found[0], scores(mesh), atol=1e-6)
