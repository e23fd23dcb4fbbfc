"""As many requests are under way as AWS bears: fewer when it says so, never none, and more again later."""

import threading
from concurrent.futures import ThreadPoolExecutor

import pytest
from botocore.exceptions import EndpointConnectionError

from wizard.cloud import pace, patience
from wizard.cloud.pace import FLOOR, Pace
from wizard.explain import Failure


def test_it_begins_with_as_many_as_there_may_be() -> None:
    assert Pace(64).limit == 64


def test_being_throttled_costs_a_share_and_never_goes_below_the_floor(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pace, "ROUND", 0.0)
    limits = []
    slow = Pace(64)
    for _ in range(20):
        slow.throttled()
        limits.append(slow.limit)
    assert limits == sorted(limits, reverse=True)
    assert limits[0] < 64
    assert limits[-1] == FLOOR


def test_many_refusals_of_one_moment_count_once() -> None:
    slow = Pace(64)
    slow.throttled()
    once = slow.limit
    for _ in range(50):
        slow.throttled()
    assert slow.limit == once


def test_it_grows_by_about_one_a_round_and_not_above_the_most() -> None:
    slow = Pace(20)
    slow.throttled()
    before = slow.limit
    for _ in range(int(before)):
        slow.went_well()
    assert before + 0.9 < slow.limit < before + 1.1
    for _ in range(1000):
        slow.went_well()
    assert slow.limit == 20


def test_no_more_are_under_way_than_the_limit_allows() -> None:
    slow, under_way, most = Pace(3), [0], [0]
    lock, meeting = threading.Lock(), threading.Barrier(3, timeout=20)

    def work(_: int) -> None:
        with slow.turn():
            with lock:
                under_way[0] += 1
                most[0] = max(most[0], under_way[0])
            meeting.wait()
            with lock:
                under_way[0] -= 1

    with ThreadPoolExecutor(9) as pool:
        list(pool.map(work, range(9)))
    assert most == [3]


def test_a_network_that_is_away_for_a_minute_is_waited_out(monkeypatch: pytest.MonkeyPatch) -> None:
    now = [1000.0]
    told: list[Failure] = []

    def passes_time(seconds: float, _halted: object) -> None:
        now[0] += seconds

    def ask() -> None:
        if now[0] < 1060:
            raise EndpointConnectionError(endpoint_url="https://ebs.us-east-1.amazonaws.com")

    monkeypatch.setattr(patience, "rest", passes_time)
    monkeypatch.setattr("wizard.cloud.patience.time.monotonic", lambda: now[0])
    patience.patiently(ask, "PutSnapshotBlock", "us-east-1", told.append, lambda: False)
    assert {failure.code for failure in told} == {"no-network-to-aws"}


def test_a_network_that_stays_away_is_explained(monkeypatch: pytest.MonkeyPatch) -> None:
    now = [0.0]
    monkeypatch.setattr(patience, "rest", lambda seconds, _halted: now.__setitem__(0, now[0] + seconds))
    monkeypatch.setattr("wizard.cloud.patience.time.monotonic", lambda: now[0])

    def ask() -> None:
        raise EndpointConnectionError(endpoint_url="https://ebs.us-east-1.amazonaws.com")

    with pytest.raises(Failure) as caught:
        patience.patiently(ask, "PutSnapshotBlock", "us-east-1", lambda _: None, lambda: False)
    assert caught.value.code == "no-network-to-aws"
    assert patience.PATIENCE < now[0] < 2 * patience.PATIENCE
