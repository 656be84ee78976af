"""`RayWorkers`: tasks of a Ray cluster that make items."""

from __future__ import annotations

import importlib
import importlib.util
import socket
from functools import lru_cache
from typing import Any

from nextscale_core.exceptions import ConfigError, NextscaleError
from nextscale_core.production.local_workers import TRIES, Made
from nextscale_core.production.make import Item, Maker
from nextscale_core.production.recipe import Job, Recipe

_PATIENCE = 10.0
"""Time for a cluster to answer [s]."""


class RayWorkers:
    """Tasks of one core each; a worker process of Ray loads model and robots once.

    Ray starts a task again whose worker or machine is lost.

    Args:
        recipe: What is made; its paths must be valid on every machine.
        address: Address of the cluster, such as 'auto' or 'ray://head:10001'.
        count: Tasks that run at the same time; None for one per core of the cluster, or per GPU
            where the model is on one.

    Raises:
        ConfigError: Ray is not installed, or there is no cluster at the address.
    """

    def __init__(self, recipe: Recipe, address: str, count: int | None) -> None:
        self._ray = ray = require_ray()
        self._owner = not ray.is_initialized()
        if self._owner:
            try:
                _reach(address)
                ray.init(address=address, log_to_driver=False, logging_level="error")
            except (OSError, RuntimeError, ValueError) as error:
                raise ConfigError(f"no Ray cluster at {address!r}: {error}") from error
        self._count = count
        on_gpu = recipe.spec.generation.device.startswith("cuda") and recipe.generates
        self._resource = "GPU" if on_gpu else "CPU"
        self._recipe = ray.put(recipe)
        self._make = ray.remote(
            num_cpus=1, num_gpus=int(on_gpu), max_retries=TRIES - 1, retry_exceptions=False
        )(_make_on_ray)
        self._jobs: dict[Any, int] = {}

    @property
    def free(self) -> bool:
        """Whether another job may be submitted."""
        # A second job for each core waits at the cluster.
        return len(self._jobs) < 2 * self._cores

    @property
    def window(self) -> int:
        """Number of jobs that may be begun and not yet written."""
        return 8 * self._cores

    def submit(self, number: int, job: Job) -> None:
        """Submit a job."""
        self._jobs[self._make.remote(self._recipe, job)] = number

    def wait(self, seconds: float) -> list[Made]:
        """Jobs that are done, or nothing after some time.

        Raises:
            ConfigError: a worker cannot load the model or the robots.
        """
        references = list(self._jobs)
        done, _ = self._ray.wait(references, timeout=seconds)
        if done:
            done, _ = self._ray.wait(references, num_returns=len(references), timeout=0)
        return [self._result(reference) for reference in done]

    def close(self) -> None:
        """Cancel all jobs, and leave the cluster."""
        for reference in self._jobs:
            self._ray.cancel(reference, force=True)
        if self._owner:
            self._ray.shutdown()

    @property
    def _cores(self) -> int:
        # A cluster may grow and shrink.
        return self._count or max(1, int(self._ray.cluster_resources().get(self._resource, 1)))

    def _result(self, reference: Any) -> Made:
        number = self._jobs.pop(reference)
        try:
            return number, self._ray.get(reference)
        except self._ray.exceptions.RayTaskError as error:
            raise ConfigError(str(error.cause)) from error
        except self._ray.exceptions.RayError as error:
            lines = str(error).splitlines() or [type(error).__name__]
            return number, f"the worker ended, {TRIES} times: {lines[0]}"


def _reach(address: str) -> None:
    """Connect to an address with a port once: Ray would try for minutes.

    Raises:
        OSError: nothing answers.
        ValueError: the port is not a number.
    """
    host, colon, port = address.removeprefix("ray://").rpartition(":")
    if colon:
        socket.create_connection((host.strip("[]"), int(port)), _PATIENCE).close()


def require_ray() -> Any:
    """The module `ray`.

    Raises:
        ConfigError: it is not installed; the message holds the command to install it.
    """
    if importlib.util.find_spec("ray") is None:
        raise ConfigError("--ray needs Ray: pip install 'nextscale[cluster]'")
    return importlib.import_module("ray")


def _make_on_ray(recipe: Recipe, job: Job) -> list[Item]:
    return _maker(recipe).make(job)


@lru_cache(maxsize=1)
def _maker(recipe: Recipe) -> Maker:
    """The maker of this process."""
    try:
        return Maker(recipe)
    except NextscaleError as error:
        # Ray sends errors that plain text describes.
        raise ConfigError(str(error)) from None
