"""A sweep does everything that it can, whatever breaks in between; a doorbell makes it look now."""

import asyncio
import threading
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

import pytest
from procrastinate.contrib.django import app
from procrastinate.contrib.django.models import ProcrastinateJob

from countermand import environment
from countermand.domain.errors import CountermandError
from countermand.project import doorbells, source_hints
from countermand.project.source_runs import Runner
from countermand.project.worker import Worker
from countermand.wiring import SweepStep


@dataclass(eq=False)
class Refused(CountermandError):
    """A step that does not want to."""


def refuse(_now: datetime) -> None:
    raise Refused


def break_down(_now: datetime) -> None:
    raise ZeroDivisionError


@pytest.mark.django_db(transaction=True)
def test_one_step_s_fault_keeps_no_other_from_its_work(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    done: list[datetime] = []
    steps = [
        SweepStep("first", refuse),
        SweepStep("second", break_down),
        SweepStep("third", done.append),
    ]
    settings = environment.load({"COUNTERMAND_DATA": str(tmp_path)})

    Worker(settings, steps=steps).sweep()

    assert len(done) == 1
    assert done[0].tzinfo is not None
    assert "step=first code=countermand.error" in caplog.text
    assert "step=second" in caplog.text


def test_no_look_at_one_device_waits_for_a_report_of_all(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Intune prepares its reports for up to an hour; a look is promised within minutes."""
    prepared, looked = threading.Event(), threading.Event()
    monkeypatch.setattr(
        Runner, "begin_due", lambda _, begin, now: begin("intune", lambda: prepared.wait(60))
    )
    monkeypatch.setattr(
        source_hints, "begin_due", lambda _, begin, now: begin("intune", looked.set)
    )
    worker = Worker(environment.load({"COUNTERMAND_DATA": str(tmp_path)}), steps=())

    worker.ask_sources()

    assert looked.wait(10)
    worker._wants_end = True
    prepared.set()


def test_what_keeps_runs_from_beginning_keeps_no_look_from_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    looked = threading.Event()

    def break_down(*_: object, **__: object) -> None:
        raise RuntimeError("no more threads")

    monkeypatch.setattr(Runner, "begin_due", break_down)
    monkeypatch.setattr(source_hints, "begin_due", lambda *_, now: looked.set())
    worker = Worker(environment.load({"COUNTERMAND_DATA": str(tmp_path)}), steps=())

    worker.ask_sources()

    assert looked.wait(10)
    worker._wants_end = True


@pytest.mark.django_db(transaction=True)
def test_a_doorbell_is_heard_once_and_leaves_nothing_behind() -> None:
    async def heard() -> None:
        rung = asyncio.Event()
        loop = asyncio.get_running_loop()
        doorbells.on_ring(lambda: loop.call_soon_threadsafe(rung.set))
        listening = asyncio.create_task(doorbells.listen())
        await rung.wait()
        listening.cancel()
        await asyncio.gather(listening, return_exceptions=True)

    app.configure_task(doorbells.RING).defer()
    asyncio.run(heard())

    assert not ProcrastinateJob.objects.exclude(status="succeeded").exists()
