"""What a process does with signals, without a run around it."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator

import pytest
from helpers.requests import send

from dslm import signals
from dslm.signals import CAUSES, REQUESTS, SIGNALS


@pytest.fixture(autouse=True)
def bursts() -> Iterator[None]:
    """`send` switches bursts off."""
    before = signals.BURST
    yield
    signals.BURST = before


@pytest.mark.parametrize("number", SIGNALS)
def test_a_signal_is_remembered_and_handled_as_before_afterwards(number: signal.Signals) -> None:
    handlers = [signal.getsignal(one) for one in SIGNALS]
    with REQUESTS.caught():
        REQUESTS.begin()
        send(number)
        asked = [cause for cause, one in zip(CAUSES, REQUESTS.asked, strict=True) if one]
    assert asked == [f"by {number.name}"]
    assert [signal.getsignal(one) for one in SIGNALS] == handlers
    with REQUESTS.caught():
        assert not any(REQUESTS.asked), "the next run begins without requests"


def test_an_interruption_before_anything_has_begun_ends_the_command() -> None:
    with REQUESTS.caught(), pytest.raises(KeyboardInterrupt):
        send(signal.SIGINT)


def test_handlers_that_a_library_has_replaced_are_put_back() -> None:
    with REQUESTS.caught():
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
        signal.set_wakeup_fd(-1)
        REQUESTS.renew()
        send(signal.SIGTERM)
        assert REQUESTS.asked[SIGNALS.index(signal.SIGTERM)]


def test_a_forked_child_handles_signals_by_itself() -> None:
    """And its parent knows nothing of them."""
    before = signal.signal(signal.SIGTERM, signal.SIG_DFL)
    with REQUESTS.caught():
        child = os.fork()
        if child == 0:
            os.kill(os.getpid(), signal.SIGTERM)
            os._exit(0)
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == -signal.SIGTERM
        send(signal.SIGUSR1)
        assert not REQUESTS.asked[SIGNALS.index(signal.SIGTERM)]
    signal.signal(signal.SIGTERM, before)


ENDS = """\
import os, signal, time
from helpers.requests import send
from dslm.signals import REQUESTS
signal.signal(signal.SIGHUP, signal.SIG_IGN)
with REQUESTS.caught():
    os.kill(os.getpid(), signal.SIGHUP)
    REQUESTS.last_words = lambda cause: print(cause, flush=True)
    if {joined}:
        REQUESTS.joined()
    send(signal.SIGTERM)
    send(signal.SIGUSR1)
    print(REQUESTS.asked, flush=True)
    os.kill(os.getpid(), signal.SIGTERM)
    time.sleep(60 if not {joined} else 0)
    while REQUESTS._counts[signal.SIGTERM] < 2: time.sleep(0.001)
    print("goes on", flush=True)
    os.kill(os.getpid(), signal.SIGTERM)
    time.sleep(60)
"""


@pytest.mark.parametrize("joined", [False, True])
def test_one_signal_too_many_of_a_kind_ends_the_process(joined: bool) -> None:
    ended = subprocess.run(
        [sys.executable, "-c", ENDS.format(joined=joined)],
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
        stdout=subprocess.PIPE,
        text=True,
        timeout=60,
    )
    assert ended.returncode == 128 + signal.SIGTERM
    asked, *more = ended.stdout.splitlines()
    assert asked == str([False, True, True, False, False]), "SIGHUP was ignored before"
    assert more == [*(["goes on"] if joined else []), "by SIGTERM"]


def test_signals_in_a_burst_are_one() -> None:
    with REQUESTS.caught():
        for _ in range(4):
            REQUESTS._take(signal.SIGTERM)
        assert REQUESTS._counts[signal.SIGTERM] == 1
