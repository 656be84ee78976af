"""`nextscale produce --ray` on a local cluster of two nodes."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from core.production.conftest import files_of
from nextscale_core.exceptions import ConfigError
from nextscale_core.production import Production, produce

ROOT = Path(__file__).resolve().parents[3]
cluster_utils = pytest.importorskip(
    "ray.cluster_utils", reason="the extra nextscale[cluster] is not installed"
)


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    """Two nodes of one core each, whose workers import this checkout."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PYTHONPATH", str(ROOT))
        patch.setenv("RAY_USAGE_STATS_ENABLED", "0")
        patch.setenv("RAY_worker_niceness", "0")  # 15 by default: a busy machine starves them
        small = {"num_cpus": 1, "object_store_memory": 80 << 20, "include_dashboard": False}
        made = cluster_utils.Cluster(initialize_head=True, head_node_args=small)
        del small["include_dashboard"]
        made.add_node(**small)
        yield made
        made.shutdown()


def workers_of(address: str) -> list[int]:
    """Processes of the cluster that make items at this moment."""
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            if (folder / "cmdline").read_bytes().startswith(b"ray::_make_on_ray"):
                parent = (folder / "stat").read_text().rpartition(")")[2].split()[1]
                # The raylet that started it names its cluster.
                if address.encode() in (folder.parent / parent / "cmdline").read_bytes():
                    found.append(int(folder.name))
        except OSError:
            continue
    return found


@pytest.mark.timeout(600)
def test_a_cluster_that_loses_a_worker_makes_the_same_files_as_one_machine(
    cluster: Any, spec: Path, tmp_path: Path
) -> None:
    produce(spec, tmp_path / "machine", workers=1)
    killed: list[int] = []

    def kill_one(state: Production) -> None:
        if state.done >= 1 and not killed:
            for worker in workers_of(cluster.address)[:1]:
                os.kill(worker, signal.SIGKILL)
                killed.append(worker)

    result = produce(spec, tmp_path / "cluster", ray=cluster.address, progress=kill_one)
    assert killed
    assert result.done == result.total
    assert "worker" not in result.refused
    assert files_of(tmp_path / "cluster") == files_of(tmp_path / "machine")


def test_an_address_without_a_cluster_is_an_error_that_names_it(spec: Path, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"no Ray cluster at '127\.0\.0\.1:1'"):
        produce(spec, tmp_path / "out", ray="127.0.0.1:1")
