"""The newest request wins."""

from __future__ import annotations

import threading
from collections.abc import Iterator

import pytest

from nextscale_ros.node.worker import NewestOnlyWorker, Ticket

PATIENCE = 10.0


class Desk:
    """A job that can be held up, and everything that happened to the requests."""

    def __init__(self) -> None:
        self.begun = threading.Event()
        self.go_on = threading.Event()
        self.done = threading.Event()
        self.published: list[str] = []
        self.too_late: list[str] = []
        self.replaced: list[str] = []
        self.worker: NewestOnlyWorker[str] = NewestOnlyWorker(self.job, self.replaced.append)

    def job(self, request: str, ticket: Ticket) -> None:
        self.begun.set()
        if request.startswith("slow"):
            self.go_on.wait(PATIENCE)
        if not ticket.publish(lambda: self.published.append(request)):
            self.too_late.append(request)
        if request.endswith("last"):
            self.done.set()


@pytest.fixture
def desk() -> Iterator[Desk]:
    desk = Desk()
    yield desk
    desk.go_on.set()
    desk.worker.close()


def test_a_request_is_served(desk: Desk) -> None:
    desk.worker.submit("last")
    assert desk.done.wait(PATIENCE)
    assert desk.published == ["last"]


def test_what_is_under_way_becomes_stale_when_a_newer_one_arrives(desk: Desk) -> None:
    desk.worker.submit("slow")
    assert desk.begun.wait(PATIENCE)
    desk.worker.submit("last")
    desk.go_on.set()
    assert desk.done.wait(PATIENCE)
    assert (desk.published, desk.too_late) == (["last"], ["slow"])


def test_only_the_newest_of_those_waiting_is_served(desk: Desk) -> None:
    desk.worker.submit("slow")
    assert desk.begun.wait(PATIENCE)
    for request in ("second", "third", "last"):
        desk.worker.submit(request)
    desk.go_on.set()
    assert desk.done.wait(PATIENCE)
    assert desk.published == ["last"]
    assert desk.replaced == ["second", "third"]


def test_closing_makes_the_work_at_hand_stale(desk: Desk) -> None:
    desk.worker.submit("slow")
    assert desk.begun.wait(PATIENCE)
    closer = threading.Thread(target=desk.worker.close)
    closer.start()
    while desk.worker.newest == 1:
        pass
    desk.go_on.set()
    closer.join(PATIENCE)
    assert (desk.published, desk.too_late) == ([], ["slow"])
