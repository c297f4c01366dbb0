"""The whole chain on a simulated city: history, model, service, live stream, an explained alert.

What ``make run`` does. Everything is written under a folder of its own, so that a demonstration
never meets a deployment's history or keys.
"""

import json
import shlex
import shutil
import time
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field, fields, replace
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from typing import Any

import httpx
import pyarrow as pa
import pyarrow.parquet as pq
from rich.console import Console
from rich.progress import (
    BarColumn,
    Progress,
    SpinnerColumn,
    TaskID,
    TextColumn,
    TimeElapsedColumn,
)

from data.history import History
from data.ingest import opened
from data.intake import Intake
from data.pseudonyms import Pseudonymiser
from data.settings import Settings
from data.simulator import City, Simulation, live, simulate
from experiments.alert import alert_card, alert_line
from experiments.demo_bank import bank
from experiments.demo_colleague import working
from experiments.demo_people import People, people
from experiments.patrol_map import map_of_today
from experiments.result import Result
from serving.recovery import recover
from serving.server import Place, Running, require_free, running, stores
from training.fit import STEPS, TrainedRun, TrainingConfig, train_fraud

__all__ = [
    "Demo",
    "DemoError",
    "Shown",
    "Steps",
    "demonstration",
    "lay_history",
    "play",
    "stay",
]

PATIENCE_S = 180.0  # how long the stream may run before an alert must have come
RESEND_S = 30.0  # how long one event is tried while the service does not answer


class DemoError(RuntimeError):
    """The demonstration did not get where it should; the message says where it stopped."""


@dataclass(frozen=True)
class Demo:
    """Size and place of a demonstration.

    Parameters
    ----------
    city : City
        What is simulated; its history ends when the demonstration begins.
    training : TrainingConfig
    place : Place
        Address of the service.
    speed : float
        Simulated seconds per second of the live stream.
    """

    city: City = field(default_factory=City)
    training: TrainingConfig = field(default_factory=TrainingConfig.demo)
    place: Place = field(default_factory=Place)
    speed: float = 20.0

    @classmethod
    def small(cls) -> "Demo":
        """Return a city that is ready in about a minute; its model is too young to be any good."""
        city = City(subscribers=3_000, days=45, victims_per_100k_days=120.0)
        return cls(city=city, training=TrainingConfig.quick())


@dataclass
class Steps:
    """Shows each step while it runs and keeps the seconds it took."""

    console: Console
    seconds: dict[str, float] = field(default_factory=dict)

    @contextmanager
    def step(self, name: str) -> Iterator["Bar"]:
        """Show a bar for one step; leave a line with its seconds."""
        began = time.perf_counter()
        columns = (
            SpinnerColumn(),
            TextColumn("{task.description}"),
            BarColumn(),
            TimeElapsedColumn(),
        )
        with Progress(*columns, console=self.console, transient=True) as progress:
            yield Bar(progress, progress.add_task(name, total=1.0), name)
        self.seconds[name] = round(time.perf_counter() - began, 1)
        self.console.print(
            f"[green]✓[/] {name} [dim]{self.seconds[name]:.1f} s[/]", highlight=False
        )


@dataclass(frozen=True)
class Bar:
    """One step's bar, told sentences and shares."""

    progress: Progress
    task: TaskID
    name: str

    def __call__(self, sentence: str, share: float) -> None:
        """Show what is being done, and the share done (0 to 1)."""
        self.progress.update(self.task, description=f"{self.name}: {sentence}", completed=share)


@dataclass(frozen=True)
class Shown:
    """A demonstration that has come to its first alert and still runs.

    Parameters
    ----------
    alert : mapping
        The service's answer, with the ``event`` that was asked about.
    answers : iterator of mapping
        What the live stream brings next.
    service : Running
    people : People
        Who may sign in, and the key of the stream.
    bundle : Path
    seconds : mapping of step to float
    """

    alert: Mapping[str, Any]
    answers: Iterator[Mapping[str, Any]]
    service: Running
    people: People
    bundle: Path
    seconds: Mapping[str, float]

    def result(self) -> Result:
        """Seconds by step, and the alert in figures."""
        total = round(sum(self.seconds.values()), 1)
        rows = [(name, f"{taken:.1f}") for name, taken in self.seconds.items()]
        return Result(
            title="Demonstration on a simulated city: seconds by step",
            columns=("step", "s"),
            rows=(*rows, ("all", f"{total:.1f}")),
            figures={
                "seconds": dict(self.seconds),
                "seconds_total": total,
                "level": self.alert["level"]["name"],
                "score": self.alert["score"],
                "reasons": len(self.alert["reasons"]),
            },
        )


@contextmanager
def demonstration(settings: Settings, demo: Demo, console: Console) -> Iterator[Shown]:
    """Run the chain up to the first explained alert; everything stops with the block.

    Parameters
    ----------
    settings : Settings
        ``var/demo`` under its `var` is emptied of an earlier demonstration and written to. Stores
        are embedded there, whatever addresses are set: invented events never meet real ones.
    demo : Demo
    console : Console
        Where progress and the alert are shown.

    Yields
    ------
    Shown

    Raises
    ------
    DemoError
        If no alert came within three minutes of streaming.
    """
    require_free(demo.place)
    settings = _apart(settings)
    steps = Steps(console)
    town = simulate(City.ending(datetime.now(UTC), **_values(demo.city)))
    with ExitStack() as stack:
        with steps.step("simulated city into history") as told:
            citizens = lay_history(town, settings, told)
        with steps.step("features, tuned models, model card") as told:
            build_state = stack.enter_context(_state_meanwhile(settings))
            bundle = _train(settings, demo, citizens, told, features_done=build_state).bundle
        with steps.step("feature state built, service up") as told:
            told("rebuilding feature state from the history", 0.0)
            build_state().result()
            other = stack.enter_context(bank())
            with stores(settings) as opened_stores:
                known, receivers = people(opened_stores, citizens, other)
            chosen = replace(settings, bundle=bundle, receivers=receivers)
            service = stack.enter_context(running(chosen, demo.place, progress=told))
            other.service = service.url
        answers = play(service.url, known.key, town, demo.speed)
        with steps.step("live stream to the first explained alert"):
            alert = _first_alert(answers)
        console.print(alert_card(alert))
        with steps.step("patrol map of a simulated city") as told:
            map_of_today(service.settings, told)
        stack.enter_context(working(service.settings, bundle))
        yield Shown(alert, answers, service, known, bundle, steps.seconds)


@contextmanager
def _state_meanwhile(settings: Settings) -> Iterator[Callable[[], "Future[int]"]]:
    """Yield what begins to build feature state, once, beside the training.

    To be called when the training has its vectors: both read the whole history, and one after the
    other they need its memory once. The bar is the training's, so nothing is told.
    """
    with stores(settings) as opened_stores, ThreadPoolExecutor(1) as pool:
        yield cache(lambda: pool.submit(recover, opened_stores, progress=lambda *_: None))


def stay(shown: Shown, console: Console) -> None:
    """Tell the addresses to open, then show alerts as they come, until a signal."""
    _tell_addresses(shown, console)
    for answer in shown.answers:
        if answer["alert"]:
            console.print(alert_line(answer), no_wrap=True, overflow="ellipsis")


def lay_history(town: Simulation, settings: Settings, told: "Bar") -> pa.Table:
    """Bring a simulated history in through the intake door; keep its truth apart.

    Returns
    -------
    Table
        The citizens under their pseudonyms, for the report by group only.
    """
    intake = Intake(Pseudonymiser.from_settings(settings))
    with opened(settings, intake) as ingest, ThreadPoolExecutor(1) as writer:
        # a day is written while the next is simulated
        written: Future[object] = writer.submit(int)
        for day, batch in enumerate(town.batches()):
            accepted, rejected = intake.table(batch)
            if rejected.rows:
                raise DemoError(f"the simulator broke its contract: {rejected.problems[0]}")
            written.result()
            written = writer.submit(ingest.events, accepted)
            told(f"day {day + 1} of {town.city.days}", (day + 1) / town.city.days)
        written.result()
    citizens = town.citizens
    hidden = intake.pseudonymiser.column("tel", citizens["subscriber"])
    citizens = citizens.set_column(0, "subscriber", hidden)
    truth = settings.var / "truth"
    truth.mkdir(parents=True, exist_ok=True)
    pq.write_table(town.truth.drop_columns(["victim"]), truth / "truth.parquet")
    pq.write_table(citizens, truth / "citizens.parquet")
    return citizens


def play(url: str, key: str, town: Simulation, speed: float) -> Iterator[Mapping[str, Any]]:
    """Send the live stream to a service, yield the answer to every scored event."""
    headers = {"Authorization": f"Bearer {key}"}
    with httpx.Client(base_url=url, timeout=10.0, headers=headers) as client:
        for event in live(town, speed):
            report = event["kind"] == "report"
            answer = _sent(client, "/v1/reports" if report else "/v1/fraud/score", event)
            if not report:
                yield {**answer.json(), "event": event}


def _sent(client: httpx.Client, path: str, event: Mapping[str, Any]) -> httpx.Response:
    """Send an event until it is taken: the same event_id again changes nothing."""
    deadline = time.monotonic() + RESEND_S
    while True:
        found = _tried(client, path, event)
        if isinstance(found, httpx.Response):
            if found.is_success:
                return found
            if found.is_client_error and found.status_code != httpx.codes.TOO_MANY_REQUESTS:
                break
        if time.monotonic() > deadline:
            break
        time.sleep(1.0)
    raise DemoError(f"expected {path} to take an event, found {found}; see the log in var/demo/log")


def _tried(
    client: httpx.Client, path: str, event: Mapping[str, Any]
) -> httpx.Response | httpx.TransportError:
    try:
        return client.post(path, json=event)
    except httpx.TransportError as error:
        return error


def _apart(settings: Settings) -> Settings:
    folder = settings.var / "demo"
    if folder.exists():
        shutil.rmtree(folder)
    folder.mkdir(parents=True)
    return replace(
        settings,
        var=folder,
        database_url=None,
        valkey_url=None,
        tracking_url=None,
        notice="模拟数据 · SIMULATED DATA",
    )


def _values(city: City) -> dict[str, Any]:
    return {item.name: getattr(city, item.name) for item in fields(city) if item.name != "start"}


def _train(
    settings: Settings,
    demo: Demo,
    citizens: pa.Table,
    told: "Bar",
    *,
    features_done: Callable[[], object],
) -> TrainedRun:
    share = {name: place / len(STEPS) for place, name in enumerate(STEPS)}

    def progress(step: str, done: float, note: str) -> None:
        told(f"{step} {note}", share[step] + done / len(STEPS))
        if step == STEPS[1]:
            features_done()

    return train_fraud(
        History(settings.var / "history"),
        as_of=datetime.now(UTC),
        settings=settings,
        config=demo.training,
        citizens=citizens,
        progress=progress,
    )


def _first_alert(answers: Iterator[Mapping[str, Any]]) -> Mapping[str, Any]:
    deadline = time.monotonic() + PATIENCE_S
    for answer in answers:
        if answer["alert"]:
            return answer
        if time.monotonic() > deadline:
            break
    raise DemoError(
        f"expected an alert within {PATIENCE_S:.0f} s of the stream, found none; "
        "try another seed, or a larger city"
    )


def _tell_addresses(shown: Shown, console: Console) -> None:
    url, known = shown.service.url, shown.people
    event = json.dumps({**shown.alert["event"], "event_id": "try-1"}, ensure_ascii=False)
    lines = (
        "",
        "[bold]Open[/]",
        f"  live alerts, as an officer    {known.entrance(url, 'demo.officer')}",
        f"  as a supervisor               {known.entrance(url, 'demo.supervisor')}",
        f"  as an approver                {known.entrance(url, 'demo.approver')}",
        f"  as a data scientist           {known.entrance(url, 'demo.scientist')}",
        f"  as an auditor                 {known.entrance(url, 'demo.auditor')}",
        "  [dim](the form is filled in: press Enter; one browser profile holds one person)[/]",
        f"  today's patrol map            {url}/console/map",
        f"  the API and its description   {url}/",
        f"  the model bundle              {shown.bundle}",
        "",
        f"[bold]The simulated city's key[/] (another: forewarn keys add): KEY={known.key}",
        "",
        "[bold]Ask[/] for an explained score:",
    )
    console.print("\n".join(lines), highlight=False, soft_wrap=True)
    ask = (
        f"curl -s '{url}/v1/fraud/score?explain=true' --oauth2-bearer {known.key} "
        f"-H 'Content-Type: application/json' -d {shlex.quote(event)}"
    )
    console.print(ask, markup=False, highlight=False, soft_wrap=True)
    console.print("\nThe simulated city goes on; alerts follow. Ctrl-C stops everything.\n")
