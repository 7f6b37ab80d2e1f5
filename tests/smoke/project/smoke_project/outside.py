"""All kinds of code that Celery lets a project run in a worker outside tasks; each queries, and none gives back.

A worker imports this module if its setting ``include`` names it.
"""

from __future__ import annotations

from collections import Counter
from typing import Any

import kombu
from celery import Task, bootsteps, shared_task, signals
from celery.utils.dispatch import Signal
from celery.worker.control import Panel, inspect_command
from celery.worker.request import Request

from smoke_project.celery import app
from smoke_project.tasks import fetch

#: How often each place was run in this process.
used: Counter[str] = Counter()

#: Signals without a receiver here: this one would replace Celery's own set-up of logging.
LEFT_OUT = {"setup_logging"}

QUEUE = kombu.Queue("smoke_messages", routing_key="smoke_messages")


def use(place: str) -> None:
    fetch("select 1")
    used[place] += 1


def _receiver(name: str) -> Any:
    def receive(**_kwargs: Any) -> None:
        use(name)

    return receive


SIGNALS = {name: signal for name, signal in vars(signals).items() if isinstance(signal, Signal)}
for _name in SIGNALS.keys() - LEFT_OUT:
    SIGNALS[_name].connect(_receiver(_name), weak=False)


class WorkerStep(bootsteps.StartStopStep):
    requires = ("celery.worker.components:Pool", "celery.worker.components:Timer")

    def __init__(self, parent: Any, **kwargs: Any) -> None:
        super().__init__(parent, **kwargs)
        use("worker step made")

    def create(self, parent: Any) -> None:
        use("worker step created")

    def start(self, parent: Any) -> None:
        use("worker step")
        parent.timer.call_repeatedly(0.2, use, ("timer",))


class ConsumerStep(bootsteps.StartStopStep):
    requires = ("celery.worker.consumer:Tasks",)

    def start(self, parent: Any) -> None:
        use("consumer step")
        Panel.register(name="late_command")(late_command)
        signals.task_postrun.connect(_receiver("late task_postrun"), weak=False)
        self.parent = parent
        parent.call_soon(use, "call_soon")


class Messages(bootsteps.ConsumerStep):
    """Consumes messages that are no tasks."""

    def get_consumers(self, channel: Any) -> list[kombu.Consumer]:
        return [kombu.Consumer(channel, queues=[QUEUE], callbacks=[self.on_message], accept=["json"])]

    def on_message(self, body: object, message: kombu.Message) -> None:
        use("message")
        message.ack()


app.steps["worker"].add(WorkerStep)
app.steps["consumer"].add(ConsumerStep)
app.steps["consumer"].add(Messages)


class UsingRequest(Request):
    def on_accepted(self, *args: Any, **kwargs: Any) -> None:
        super().on_accepted(*args, **kwargs)
        use("on_accepted")

    def on_timeout(self, *args: Any, **kwargs: Any) -> None:
        super().on_timeout(*args, **kwargs)
        use("on_timeout")

    def on_failure(self, *args: Any, **kwargs: Any) -> None:
        super().on_failure(*args, **kwargs)
        use("on_failure")


class WithRequest(Task[Any, Any]):
    Request = UsingRequest

    def on_failure(self, *args: object) -> None:
        use("task's on_failure")


@shared_task(base=WithRequest)
def fail_with_request() -> None:
    raise ValueError("on purpose")


@shared_task(base=WithRequest)
def sleep_with_request() -> None:
    fetch("select pg_sleep(600)")


def late_command(state: Any) -> str:
    use("late command")
    return "done"


@inspect_command()
def places_used(state: Any) -> dict[str, int]:
    """Return how often each place was run in the main process."""
    return dict(used)
