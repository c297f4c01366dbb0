"""Forewarn on the command line: composes the parts, decides nothing itself."""

import json
import sys
from datetime import UTC, datetime
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer
from rich.console import Console
from rich.markup import escape

from serving import commands, rule_commands

if TYPE_CHECKING:
    import pyarrow as pa

    from data.quarantine import Shelf
    from data.settings import Settings
    from training.hotspots import HotspotTraining

__all__ = ["app", "main"]

FOLDERS = ("data", "features", "models", "training", "serving", "experiments")
console = Console(stderr=True)

app = typer.Typer(no_args_is_help=True, pretty_exceptions_enable=False, help=__doc__)
train = typer.Typer(no_args_is_help=True, help="Train a model as things were known at a day.")
quarantine = typer.Typer(no_args_is_help=True, help="Records that broke a contract; replay them.")
app.add_typer(train, name="train")
app.add_typer(quarantine, name="quarantine")
app.add_typer(commands.accounts, name="accounts")
app.add_typer(commands.keys, name="keys")
app.add_typer(commands.audit, name="audit")
app.add_typer(rule_commands.rules, name="rules")
app.add_typer(rule_commands.lists, name="lists")

AsOf = Annotated[
    datetime | None,
    typer.Option(
        formats=["%Y-%m-%d", "%Y-%m-%dT%H:%M:%S"],
        help="Only what was known before this moment (UTC) is used. Default: now.",
    ),
]
PublicData = Annotated[Path | None, typer.Option("--data", help="Folder of the public data sets.")]
Zone = Annotated[
    str | None,
    typer.Option(help="Zone of times without an offset, such as America/Chicago. Default: ours."),
]
Places = Annotated[
    Path | None,
    typer.Option("--places", help="Table of lon, lat and numbers: what stands where."),
]
CellSize = Annotated[float, typer.Option("--cell", help="Side of a cell in metres.")]
OfIncidents = Annotated[bool, typer.Option("--incidents", help="Incidents, not events.")]
ShiftStarts = Annotated[
    str, typer.Option("--shifts", help="Hours at which shifts begin, e.g. 0,8,16; 0: whole days.")
]
Country = Annotated[
    str, typer.Option(help="Whose holidays, ISO 3166 such as CN or US; empty: none.")
]
Quick = Annotated[bool, typer.Option("--quick", help="A small version, in under a minute.")]


class Experiment(StrEnum):
    """Questions with a command each."""

    HANDBOOK = "handbook"
    HANDBOOK_TUNING = "handbook_tuning"
    SICHUAN = "sichuan"
    CITY = "city"
    EQUALITY = "equality"
    WINDOWS = "windows"
    SIMULATOR = "simulator"
    CHICAGO = "chicago"
    RUNAWAY = "runaway"
    SHIFT = "shift"
    HOTSPOT_SCALE = "hotspot-scale"


class Bench(StrEnum):
    """Speeds, beside a rival in the same run."""

    INTAKE = "intake"
    SERVING = "serving"
    WORK_LIST = "work_list"


@app.command()
def demo(
    check: Annotated[
        bool, typer.Option("--check", help="Stop everything after the first explained alert.")
    ] = False,
    quick: Annotated[bool, typer.Option("--quick", help="A small city, a young model.")] = False,
    port: Annotated[int, typer.Option(help="Port of the service.")] = 3000,
    page: Annotated[
        Path | None, typer.Option(help="Write the first alert as an HTML page.")
    ] = None,
) -> None:
    """Simulate a city, train on it, serve it and play it live; Ctrl-C stops everything."""
    from dataclasses import replace

    from experiments.alert import alert_page
    from experiments.demo import Demo, demonstration, stay
    from experiments.result import print_result
    from serving.server import Place, stopped_by_signals

    chosen = replace(Demo.small() if quick else Demo(), place=Place(port=port))
    shown = Console()
    with stopped_by_signals(), demonstration(_settings(), chosen, shown) as seen:
        if page is not None:
            page.write_text(alert_page(seen.alert), "utf-8")
        if check:
            print_result(seen.result())
        else:
            stay(seen, shown)


@app.command()
def simulate(
    subscribers: Annotated[int, typer.Option(min=1, help="Lines watched.")] = 20_000,
    days: Annotated[int, typer.Option(min=1, help="Length of the history, ending now.")] = 60,
    seed: Annotated[int, typer.Option(help="The same seed gives the same city.")] = 7,
    places: Annotated[
        bool, typer.Option("--places", help="Incidents of two years instead of events.")
    ] = False,
) -> None:
    """Fill the history with a simulated city; its truth is kept apart under truth/."""
    if places:
        from experiments.patrol_map import lay_incidents

        print(f"{lay_incidents(_settings(), seed=seed):,} simulated incidents")
        return
    from data.simulator import City, simulate
    from experiments.demo import Steps, lay_history

    city = City.ending(datetime.now(UTC), subscribers=subscribers, days=days, seed=seed)
    with Steps(console).step("simulated city into history") as told:
        lay_history(simulate(city), _settings(), told)


@app.command()
def intake(
    files: Annotated[list[Path], typer.Argument(help=".jsonl, .csv or .parquet, any number.")],
) -> None:
    """Bring files of events into the history; what breaks a contract goes to the quarantine."""
    from data.ingest import ingest_file

    for file in files:
        taken = ingest_file(file, _settings(), progress=_say)
        print(
            f"{file.name}: {taken.accepted} accepted ({taken.late} late, {taken.disordered} out of "
            f"order), {taken.duplicates} there already, {taken.refused} in quarantine"
        )


@app.command()
def incidents(
    files: Annotated[list[Path], typer.Argument(help=".csv, .parquet or .jsonl, any number.")],
    time: Annotated[str | None, typer.Option(help="Column of the time.")] = None,
    category: Annotated[str | None, typer.Option(help="Column of the category.")] = None,
    lat: Annotated[str | None, typer.Option(help="Column of the latitude.")] = None,
    lon: Annotated[str | None, typer.Option(help="Column of the longitude.")] = None,
    id: Annotated[str | None, typer.Option(help="Column unique to the incident.")] = None,  # noqa: A002
    known: Annotated[str | None, typer.Option(help="Column of when it was learnt.")] = None,
    origin: Annotated[
        str | None, typer.Option(help="Column that says reported or discovered.")
    ] = None,
    day_first: Annotated[
        bool | None, typer.Option(help="Whether 03/04/2026 is in April. Default: as days tell.")
    ] = None,
    report_delay_h: Annotated[
        float,
        typer.Option(
            min=0, max=8_784, help="Hours after which incidents are known, if no column says."
        ),
    ] = 0.0,
    zone: Zone = None,
    extent: Annotated[
        str | None,
        typer.Option(help="The city: west,south,east,north in degrees, or a GeoJSON file."),
    ] = None,
) -> None:
    """Bring files of incidents in: time, category, lat, lon; the rest goes to the quarantine."""
    from datetime import timedelta

    from data.incident_files import ColumnMap
    from data.incident_ingest import ingest_incidents
    from data.places import Extent

    columns = ColumnMap(
        time=time,
        category=category,
        lat=lat,
        lon=lon,
        id=id,
        known=known,
        origin=origin,
        day_first=day_first,
        report_delay=timedelta(hours=report_delay_h),
    )
    limits = Extent.from_text(extent) if extent else None
    for file in files:
        taken = ingest_incidents(
            file, _settings(), columns, zone=zone, extent=limits, progress=_say
        )
        print(
            f"{file.name}: {taken.accepted} accepted, {taken.duplicates} there already, "
            f"{taken.refused} in quarantine"
        )


@app.command()
def districts(
    file: Annotated[
        Path, typer.Argument(exists=True, dir_okay=False, help="CSV of citizens: number,district.")
    ],
    leave_out: Annotated[
        bool, typer.Option("--leave-out", help="Take the rest in where lines are wrong.")
    ] = False,
) -> None:
    """Say where citizens live: their cases begin there. Numbers are kept as pseudonyms only."""
    from data.database import database_of
    from data.pseudonyms import Pseudonymiser
    from serving.cases.districts import take_in

    settings = _settings()
    names = Pseudonymiser.from_settings(settings)
    with database_of(settings) as engine:
        now = datetime.now(UTC)
        taken = take_in(engine, file, names, now, leave_out=leave_out, progress=_say)
    print(f"{file.name}: {taken.citizens:,} citizens, {taken.changed:,} of them new or moved")
    if taken.wrong:
        print(f"{taken.wrong:,} lines were left out; the first of them:")
        print("\n".join(f"    {one}" for one in taken.said))


@app.command()
def hotspots(
    out: Annotated[Path, typer.Option(help="GeoJSON file to write.")] = Path("map.geojson"),
    as_of: AsOf = None,
    day: Annotated[
        datetime | None,
        typer.Option("--day", formats=["%Y-%m-%d"], help="Day to forecast. Default: of as-of."),
    ] = None,
    from_file: Annotated[
        Path | None, typer.Option("--incidents", help="A file of incidents to take in first.")
    ] = None,
    places: Places = None,
    category: Annotated[str | None, typer.Option(help="Only this one. Default: all.")] = None,
    coverage: Annotated[float, typer.Option(help="Share of the area to show.")] = 0.01,
    picture: Annotated[
        Path | None, typer.Option(help="PNG or SVG to draw, one for each shift.")
    ] = None,
    lang: Annotated[str, typer.Option(help="Of the picture: zh or en.")] = "zh",
    cell: Annotated[float | None, typer.Option(help="Side of a cell in metres. New: 250.")] = None,
    shifts: Annotated[
        str | None, typer.Option(help="Hours at which shifts begin; 0: whole days. New: 0,8,16.")
    ] = None,
    country: Annotated[
        str | None, typer.Option(help="Whose holidays, ISO 3166; empty: none. New: CN.")
    ] = None,
) -> None:
    """Forecast a day's shifts and write the explained patrol map.

    The latest published model is used that was trained before as-of and is as asked; where there is
    none, a new one is trained.
    """
    from experiments.patrol_map import Asked, made_map
    from experiments.result import print_result

    wanted = {"size_m": cell, "starts": shifts, "country": country}
    asked = Asked(
        as_of=(as_of or datetime.now(UTC)).replace(tzinfo=UTC),
        out=out,
        day=day.date() if day else None,
        incidents=from_file,
        places=places,
        coverage=coverage,
        category=category,
        picture=picture,
        lang=lang,
        training=_hotspot_training(
            250.0 if cell is None else cell,
            "0,8,16" if shifts is None else shifts,
            "CN" if country is None else country,
            0,
        ),
        strict=tuple(name for name, given in wanted.items() if given is not None),
    )
    print_result(made_map(asked, _settings(), _say).result())


@app.command()
def patrol_plan(
    stations: Annotated[
        Path,
        typer.Argument(exists=True, dir_okay=False, help="CSV of stations: name,lon,lat,units."),
    ],
    out: Annotated[Path, typer.Option(help="GeoJSON file to write.")] = Path("plan.geojson"),
    day: Annotated[
        datetime | None,
        typer.Option("--day", formats=["%Y-%m-%d"], help="Day of the map. Default: the newest."),
    ] = None,
    shift: Annotated[
        str | None, typer.Option(help="Name such as 16-24, or position. Default: the one now.")
    ] = None,
    category: Annotated[str | None, typer.Option(help="Only this one. Default: all.")] = None,
    coverage: Annotated[
        float, typer.Option(help="Top share of the area in which a stable cell stays.")
    ] = 0.02,
    officer_hours: Annotated[
        float | None,
        typer.Option(help="Of all units together. Default: every unit's whole shift."),
    ] = None,
    officers_per_unit: Annotated[int, typer.Option(help="Officers in a unit.")] = 2,
    stop_minutes: Annotated[float, typer.Option(help="Minutes of a stop, 10 to 16.")] = 15.0,
    max_stops: Annotated[int, typer.Option(help="Stops of a unit at most.")] = 20,
    speed_kmh: Annotated[float, typer.Option(help="Along the road, lights included.")] = 25.0,
    visits: Annotated[
        Path | None,
        typer.Option(exists=True, dir_okay=False, help="CSV of stops made: cell,visits."),
    ] = None,
    visit_cap: Annotated[
        int, typer.Option(help="Stops a cell may have in the period, those made included.")
    ] = 7,
    cap_period: Annotated[
        Literal["day", "week"], typer.Option(help="Period that --visits counts.")
    ] = "week",
    return_: Annotated[
        bool, typer.Option("--return/--no-return", help="Whether units end at their station.")
    ] = True,
    picture: Annotated[Path | None, typer.Option(help="PNG or SVG to draw.")] = None,
    lang: Annotated[str, typer.Option(help="Of table and picture: zh or en.")] = "zh",
) -> None:
    """Plan a shift's patrols on a stored map: which cells, in what order, for how long."""
    from functools import partial

    from experiments.patrol_plan import PlanAsked, made_plan
    from experiments.result import print_result
    from models.patrol import Constraints

    limits = partial(
        Constraints,
        officer_minutes=None if officer_hours is None else 60 * officer_hours,
        officers_per_unit=officers_per_unit,
        stop_minutes=stop_minutes,
        max_stops_per_unit=max_stops,
        speed_kmh=speed_kmh,
        visit_cap=visit_cap,
        cap_period=cap_period,
        return_to_station=return_,
    )
    asked = PlanAsked(
        stations=stations,
        out=out,
        limits=limits,
        day=day.date() if day else None,
        shift=shift,
        category=category,
        coverage=coverage,
        visits=visits,
        picture=picture,
        lang=lang,
    )
    print_result(made_plan(asked, _settings(), _say).result())


def _hotspot_training(cell: float, shifts: str, country: str, trials: int) -> "HotspotTraining":
    from training.hotspots import HotspotTraining

    try:
        starts = tuple(int(hour) for hour in shifts.split(","))
    except ValueError as error:
        raise typer.BadParameter("expected hours such as 0,8,16", param_hint="--shifts") from error
    return HotspotTraining(size_m=cell, starts=starts, country=country, trials=trials)


@quarantine.command("list")
def quarantine_list(
    limit: Annotated[int, typer.Option(help="How many, the oldest first.")] = 20,
    of_incidents: OfIncidents = False,
) -> None:
    """Show what waits, and what is wrong with each record."""
    from data.incident_ingest import quarantined_incidents
    from data.ingest import quarantined

    if of_incidents:
        with quarantined_incidents(_settings()) as ingest:
            _show_waiting(ingest.quarantine, limit)
    else:
        with quarantined(_settings()) as kept:
            _show_waiting(kept, limit)


def _show_waiting(kept: "Shelf[Any]", limit: int) -> None:
    print(f"{kept.count()} waiting")
    for record in kept.list(limit=limit):
        print(f"{record.id}  {record.received_at:%Y-%m-%d %H:%M}  {record.source}")
        for problem in record.problems:
            print(f"    {problem}")


@quarantine.command("replay")
def quarantine_replay(
    ids: Annotated[list[str] | None, typer.Argument(help="Only these; all by default.")] = None,
    put: Annotated[
        list[str] | None,
        typer.Option("--set", help="field=value: correct this field in every record first."),
    ] = None,
    drop: Annotated[
        list[str] | None, typer.Option(help="Leave this field out of every record first.")
    ] = None,
    of_incidents: OfIncidents = False,
) -> None:
    """Send quarantined records through the door again, corrected if asked."""
    from data.incident_ingest import replay_incidents
    from data.ingest import replay_quarantine
    from data.quarantine import corrected

    mend = corrected(put or (), drop or ()) if put or drop else None
    again = replay_incidents if of_incidents else replay_quarantine
    done = again(_settings(), mend=mend, ids=ids)
    print(f"{done.passed} passed, {done.refused} refused again")


@train.command("fraud")
def train_fraud(
    as_of: AsOf = None,
    trials: Annotated[int | None, typer.Option(min=1, help="Trials of the search.")] = None,
    per_day: Annotated[
        float | None, typer.Option(help="Citizens a day the centre can alert. Default: 20.")
    ] = None,
    levels: Annotated[
        Path | None,
        typer.Option(
            exists=True,
            dir_okay=False,
            help="JSON of the city's own levels: words, colours, deadlines, citizens a day.",
        ),
    ] = None,
) -> None:
    """Train, judge, sign and register a fraud model as it could have been trained then."""
    from dataclasses import replace

    from data.history import History
    from experiments.result import print_result
    from experiments.trained import trained
    from models.policy import levels_from_text
    from training.fit import TrainingConfig, train_fraud

    if levels is not None and per_day is not None:
        raise typer.BadParameter("levels say themselves how many a day: give one of the two")
    settings = _settings()
    config = TrainingConfig() if per_day is None else replace(TrainingConfig(), per_day=per_day)
    if levels is not None:
        config = config.with_levels(levels_from_text(levels.read_text(encoding="utf-8")))
    if trials is not None:
        config = replace(config, search=replace(config.search, trials=trials))
    _take_outcomes(settings)
    run = train_fraud(
        History(settings.var / "history"),
        as_of=(as_of or datetime.now(UTC)).replace(tzinfo=UTC),
        settings=settings,
        config=config,
        citizens=_citizens(settings),
        progress=_step,
    )
    print_result(trained(run))


@train.command("lines")
def train_lines(
    folder: Annotated[
        Path,
        typer.Argument(
            exists=True,
            file_okay=False,
            help="Folder with subscribers.parquet and calls_graph.npz.",
        ),
    ],
) -> None:
    """Train the model of suspect lines on a table like Sichuan's."""
    from experiments.result import print_result
    from experiments.trained import trained_lines
    from training.suspect_lines import train_suspect_lines

    print_result(trained_lines(train_suspect_lines(folder, settings=_settings(), progress=_step)))


@train.command("hotspot")
def train_hotspot(
    as_of: AsOf = None,
    trials: Annotated[int, typer.Option(min=0, help="Trials of the search; 0: none.")] = 0,
    places: Places = None,
    cell: CellSize = 250.0,
    shifts: ShiftStarts = "0,8,16",
    country: Country = "CN",
) -> None:
    """Train, judge, sign and register a model of places as it could have been trained then."""
    from data.incident_ingest import read_truth_incidents
    from experiments.patrol_map import keep_places, known_places
    from experiments.result import print_result
    from experiments.trained import trained_hotspots
    from training.hotspots import train_hotspots

    settings = _settings()
    moment = (as_of or datetime.now(UTC)).replace(tzinfo=UTC)
    if places is not None:
        keep_places(places, settings)
    run = train_hotspots(
        read_truth_incidents(settings, moment),
        as_of=moment,
        settings=settings,
        places=known_places(settings),
        training=_hotspot_training(cell, shifts, country, trials),
        progress=_step,
    )
    print_result(trained_hotspots(run))


@app.command()
def schema() -> None:
    """Print the JSON Schema of every event."""
    from data.events import json_schema

    print(json.dumps(json_schema(), ensure_ascii=False, indent=2))


@app.command()
def serve(
    host: Annotated[str, typer.Option(help="Address to listen at.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(help="Port to listen at.")] = 3000,
    workers: Annotated[int, typer.Option(help="Processes that score.")] = 2,
) -> None:
    """Serve the published model until Ctrl-C."""
    from serving.server import Place, serve

    place = Place(host=host, port=port, workers=workers)
    console.print(f"starting at {place.url}; Ctrl-C stops everything", highlight=False)
    raise typer.Exit(serve(_settings(), place, progress=_say))


@app.command()
def certify(
    since: Annotated[
        datetime | None,
        typer.Option(
            formats=["%Y-%m-%d", "%Y-%m-%dT%H:%M:%S"],
            help="Only decisions from this moment (UTC) on. Default: all.",
        ),
    ] = None,
) -> None:
    """Make every served vector again from the recorded events; compare all of them, bit by bit."""
    from experiments.certified import certified
    from experiments.result import print_result
    from serving.certificate import certify_decisions

    moment = since.replace(tzinfo=UTC) if since else None
    found = certify_decisions(_settings(), since=moment, progress=_say)
    print_result(certified(found))
    raise typer.Exit(0 if found.certificate.holds else 1)


@app.command()
def experiment(name: Experiment, quick: Quick = False, data: PublicData = None) -> None:
    """Answer one question of the README's tables; prints a table, then one line of JSON."""
    _run(name.value, quick, data)


@app.command()
def bench(name: Bench, quick: Quick = False) -> None:
    """Measure one speed beside a rival; prints a table, then one line of JSON."""
    _run(name.value, quick)


def _run(name: str, quick: bool, data: Path | None = None) -> None:
    from importlib import import_module

    from experiments.result import print_result

    module = import_module(f"experiments.{name.replace('-', '_')}")
    print_result(module.run(quick=quick, real_data=data, progress=_say))


def _take_outcomes(settings: "Settings") -> None:
    """What officers found out goes beside the history, where there is a database to ask."""
    from data.stores import StoreError
    from serving.cases.labels import exported

    try:
        count = exported(settings)
    except StoreError as error:
        _say(f"outcomes as they were exported last: {error}")
        return
    if count is not None:
        _say(f"{count:,} outcomes of cases are labels too")


def _citizens(settings: "Settings") -> "pa.Table | None":
    """Who the citizens are, where a deployment tells: for the report by group only."""
    import pyarrow.parquet as pq

    path = settings.var / "truth" / "citizens.parquet"
    return pq.read_table(path) if path.exists() else None


def _say(sentence: str, share: float | None = None) -> None:
    done = "  …" if share is None else f"{share:4.0%}"
    console.print(f"[dim]{done}[/] {escape(sentence)}", highlight=False)


def _step(step: str, share: float, note: str) -> None:
    _say(f"{step} {note}", share)


def _settings() -> "Settings":
    from data.settings import Settings

    return Settings.from_environment()


def main() -> None:
    """Run the command line; what we say is wrong is a sentence, anything else a traceback."""
    try:
        app()
    except Exception as error:
        if not _said_by_us(error):
            raise
        console.print(f"[red]{type(error).__name__}[/] {escape(str(error))}", highlight=False)
        sys.exit(2)


def _said_by_us(error: Exception) -> bool:
    """Whether it is an error of ours, or a ValueError that our own code raised with its words."""
    if type(error).__module__.partition(".")[0] in FOLDERS:
        return True
    trace = error.__traceback__
    while trace is not None and trace.tb_next is not None:
        trace = trace.tb_next
    where = trace.tb_frame.f_globals.get("__name__", "") if trace is not None else ""
    return isinstance(error, ValueError) and where.partition(".")[0] in FOLDERS


if __name__ == "__main__":
    main()
