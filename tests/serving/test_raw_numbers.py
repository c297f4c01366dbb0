"""No raw number that was sent over HTTP is in anything the service keeps or shows."""

import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import valkey
from sqlalchemy import Connection, create_engine, text

from data.pseudonyms import Pseudonymiser
from serving.server import Running

Make = Callable[..., dict[str, Any]]
JSON = {"Content-Type": "application/json"}

PHONE = "13755501234"
FOREIGN = "+85255507654"
PAYER = "6217555012340001"
PAYEE = "6217555012340002"
DEVICE = "imei-355550123400099"
CITIZEN = "51010719555012340X"
SPOKEN = "137 5550 1234"
SENT = (
    PHONE,
    FOREIGN.removeprefix("+852"),
    PAYER,
    PAYEE,
    DEVICE,
    CITIZEN,
    SPOKEN,
    "355550123400099",
)


def _transfer(call: Make, **changes: Any) -> dict[str, Any]:
    common = {name: call()[name] for name in ("event_id", "occurred_at")}
    accounts = {"account": PAYER, "counterpart": PAYEE, "device": DEVICE}
    sent = {"kind": "transfer", "subscriber": SPOKEN, "amount_fen": 100_000}
    return {**common, **sent, **accounts, **changes}


def _report(call: Make, **changes: Any) -> dict[str, Any]:
    then = (datetime.now(UTC) - timedelta(hours=1)).isoformat()
    times = dict.fromkeys(("occurred_at", "first_contact_at", "reported_at"), then)
    named = {"phones": [FOREIGN, SPOKEN], "accounts": [PAYEE], "citizen_id": CITIZEN}
    case = {"subscriber": PHONE, "scam_type": "authority", "loss_fen": 100_000}
    return {"kind": "report", "event_id": call()["event_id"], **times, **case, **named, **changes}


def _accepted(call: Make, fraud_call: Make) -> list[dict[str, Any]]:
    phones = {"subscriber": PHONE, "counterpart": FOREIGN}
    app = {"kind": "app", "counterpart": "com.example", "action": "install", "device": DEVICE}
    common = {name: call()[name] for name in ("event_id", "occurred_at")}
    return [
        fraud_call(**phones),
        call(**{**phones, "subscriber": SPOKEN}),
        _transfer(call),
        {**common, "subscriber": PHONE, **app},
    ]


def _refused(call: Make) -> list[Any]:
    known = call(subscriber=PHONE)
    return [
        _transfer(call, amount_fen=-1),
        _transfer(call, amount_fen=PAYER),
        _transfer(call, surprise=PAYEE),
        _transfer(call, channel=DEVICE),
        _transfer(call, limit_raised=PHONE),
        _transfer(call, occurred_at=PHONE),
        call(subscriber=int(PHONE)),
        call(subscriber=f"line {PHONE}"),
        call(counterpart={"number": FOREIGN}),
        call(duration_s=PHONE),
        call(duration_s=int(PAYER)),
        call(kind=PHONE),
        call(direction=PHONE),
        call(source=f"{PHONE} {CITIZEN}"),
        call(event_id=f"call {PHONE}"),
        {**call(), CITIZEN: PHONE},
        {PHONE: PAYER},
        PHONE,
        [PAYER],
        known,
        {**known, "counterpart": FOREIGN},  # another event under that event_id
    ]


def _send(api: httpx.Client, call: Make, fraud_call: Make) -> list[httpx.Response]:
    accepted = _accepted(call, fraud_call)
    done = [api.post("/v1/fraud/score", json=event) for event in accepted]
    facts = _accepted(call, fraud_call)
    done.append(api.post("/v1/events", json=facts))
    done.append(api.post("/v1/fraud/score_batch", json={"events": facts, "explain": True}))
    done.append(api.post("/v1/reports", json=_report(call)))
    assert all(response.status_code in {200, 202} for response in done)
    for event in _refused(call):
        done.append(api.post("/v1/fraud/score", json=event))
        done.append(api.post("/v1/reports", json=event))
    done.append(api.post("/v1/reports", json=_report(call, loss_fen=CITIZEN)))
    done.append(api.post("/v1/reports", json=_report(call, citizen_id=f"{CITIZEN} (copy)")))
    done.append(api.post("/v1/events", json=_refused(call)))
    done.append(api.post("/v1/fraud/score_batch", json={"events": _refused(call)}))
    cut = f'{{"subscriber": "{PHONE}", "citizen_id": "{CITIZEN}"'.encode()
    done.append(api.post("/v1/fraud/score", content=cut, headers=JSON))
    done.append(api.post("/v1/fraud/score", json=call(), params={"explain": PHONE}))
    done.append(api.post("/v1/fraud/score", json=call(), params={PHONE: "true"}))
    done.append(api.get(f"/v1/decisions/{PHONE}"))
    done.append(api.get(f"/{PAYER}", headers={"X-Device": DEVICE, "User-Agent": PHONE}))
    done += [api.get(f"/v1/decisions/{event['event_id']}") for event in accepted]
    return done


def _columns(connection: Connection) -> list[Any]:
    query = text(
        "SELECT table_schema, table_name, column_name, data_type FROM information_schema.columns "
        "WHERE table_schema NOT IN ('pg_catalog', 'information_schema')"
    )
    return list(connection.execute(query))


def _tables(service: Running) -> Iterator[tuple[str, bytes]]:
    """Every column of every table, JSON and the like as text, bytea as its bytes."""
    engine = create_engine(service.settings.database_url or "")
    with engine.connect() as connection:
        for schema, table, column, kind in _columns(connection):
            shape = "" if kind == "bytea" else "::text"
            query = text(f'SELECT "{column}"{shape} FROM "{schema}"."{table}"')  # noqa: S608
            for value in connection.scalars(query):
                if value is not None:
                    yield f"{table}.{column}", value if kind == "bytea" else value.encode()
    engine.dispose()


def _valkey(service: Running) -> Iterator[tuple[str, bytes]]:
    client = valkey.Valkey.from_url(service.settings.valkey_url or "")
    read: dict[bytes, Callable[[bytes], Any]] = {
        b"string": client.get,
        b"hash": client.hgetall,
        b"set": client.smembers,
        b"list": lambda key: client.lrange(key, 0, -1),
        b"zset": lambda key: client.zrange(key, 0, -1, withscores=True),
        b"stream": client.xrange,
    }
    for key in client.scan_iter(count=1_000):
        kind = client.type(key)
        if kind != b"none":  # gone meanwhile
            yield "valkey", key + b" " + _flat(read[kind](key))
    client.close()


def _flat(value: Any) -> bytes:
    if isinstance(value, dict):
        value = value.items()
    if isinstance(value, bytes | None):
        return value or b""
    if isinstance(value, int | float):
        return str(value).encode()
    return b" ".join(_flat(each) for each in value)


def _files(var: Path) -> Iterator[tuple[str, bytes]]:
    for path in var.rglob("*"):
        try:
            if path.is_file() and not path.is_symlink():
                yield str(path), path.read_bytes()
        except FileNotFoundError:  # PostgreSQL took it away meanwhile
            continue


def test_no_raw_number_is_kept_or_shown(
    service: Running, api: httpx.Client, call: Make, fraud_call: Make
) -> None:
    answers = _send(api, call, fraud_call)
    time.sleep(1)  # what is written late: the log, the files of the metrics
    places = [
        *(("answer", answer.content) for answer in answers),
        *_tables(service),
        *_valkey(service),
        *_files(service.settings.var),
        ("metrics", api.get("/metrics").content),
    ]
    names = {name for name, _ in places}
    log = str(service.settings.var / "log" / "serving.log")
    assert {"events.payload", "decisions.answer", "quarantine.record", "valkey", log} <= names
    pseudonym = Pseudonymiser.from_settings(service.settings).one("tel", PHONE).encode()
    shown = {name for name, content in places if pseudonym in content}
    assert {"answer", "events.payload", "events.subscriber", "valkey"} <= shown
    numbers = [number.encode() for number in SENT]
    found = {name for name, content in places if any(number in content for number in numbers)}
    assert not found
