"""`sallyport recordings holds|purges|purge|tombstones|forecast`: what keeps recordings and what ended them, read at the
console by whoever signed in there. Reads only: holding, asking and confirming are the console's."""

import json
from collections.abc import Iterator
from datetime import datetime
from typing import Annotated, Any, Final
from urllib.parse import urlencode

import typer

from broker.app import console_client
from broker.app.console_client import ConsoleSession
from broker.app.errors import CommandError

_PAGE: Final = 200
_MOST: Final = 20_000
_GIB: Final = 1 << 30
_STATES: Final = ("asked", "confirmed", "declined", "withdrawn", "lapsed")

app = typer.Typer()
JsonOption = Annotated[bool, typer.Option("--json", help="One JSON object a line, as the console answers.")]
Answer = dict[str, Any]


@app.command("forecast")
def forecast(as_json: JsonOption = False) -> None:
    """When the disk is full of recordings, and whether it can hold them for as long as they are kept."""
    storage = _get(_session(), "/retention/storage")
    if as_json:
        print(json.dumps(storage, ensure_ascii=False))
        return
    found = storage["forecast"]
    if found is None:
        raise CommandError("the disk of the recordings does not answer: is it mounted on the broker's host?")
    full = f"in {found['days_until_full']} days" if found["days_until_full"] is not None else "not within a century"
    held = found["days_held"] if found["days_held"] is not None else "more than 36500"
    print(f"level         {found['level']}")
    print(f"full          {full}")
    print(f"can hold      {held} days of the {found['keep_days']} that are needed")
    print(f"recorded      {_size(found['bytes_per_day'])} a day, over {found['observed_days']} days")
    print(f"kept now      {_size(found['kept_bytes'])}")
    print(f"usable        {_size(found['usable_bytes'])} of {_size(found['free_bytes'])} that are free")
    print(f"on hold       {storage['on_hold']} recordings")
    print(f"to be removed {storage['waiting_for_removal']} destroyed recordings whose file is still there")


@app.command("holds")
def holds(as_json: JsonOption = False) -> None:
    """List the holds that stand, newest first."""
    for one in _all(_session(), "/retention/holds", {}):
        if as_json:
            print(json.dumps(one, ensure_ascii=False))
        else:
            who = one["placed_by"]["display_name"]
            print(f"{one['recording_id']}  {_minute(one['placed_at'])}  {who}: {one['reason']}")


@app.command("purges")
def purges(
    state: Annotated[str | None, typer.Option(help=f"Only those that are {', '.join(_STATES)}.")] = None,
    as_json: JsonOption = False,
) -> None:
    """List the purges that were asked for, newest first."""
    for one in _all(_session(), "/retention/purges", _query(state)):
        print(json.dumps(one, ensure_ascii=False) if as_json else _line_of(one))


@app.command("purge")
def purge(
    purge_id: Annotated[str, typer.Argument(metavar="PURGE", help="The purge's id (prg_…).")],
    as_json: JsonOption = False,
) -> None:
    """Show one purge and the exact list of its recordings, as they are now."""
    found = _get(_session(), f"/retention/purges/{_id(purge_id)}")
    if as_json:
        print(json.dumps(found, ensure_ascii=False))
        return
    print(_line_of(found["purge"]))
    print(f"list {found['purge']['list_sha256']}")
    for kept in found["items"]:
        print(f"{kept['recording_id']}  {_size(kept['bytes'])}  {kept['barrier'] or 'may be destroyed'}")


@app.command("tombstones")
def tombstones(as_json: JsonOption = False) -> None:
    """List what stays of destroyed recordings. With --json the signed lines themselves, one a recording."""
    session = _session()
    for one in _all(session, "/retention/purges", _query("confirmed")):
        for kept in _get(session, f"/retention/purges/{_id(one['id'])}")["items"]:
            left = kept["destroyed"]
            if left is None:
                continue
            if as_json:
                print(left["tombstone"].strip())
                continue
            file = f"removed {_minute(left['removed_at'])}" if left["removed_at"] else "its file is still there"
            why = f" ({left['refusal']})" if left["refusal"] else ""
            print(f"{kept['recording_id']}  {one['id']}  destroyed {_minute(left['purged_at'])}  {file}{why}")


def _session() -> ConsoleSession:
    return console_client.load(console_client.session_file())


def _get(session: ConsoleSession, path: str) -> Answer:
    answer: Answer = json.loads(console_client.get(session, path))
    return answer


def _all(session: ConsoleSession, path: str, query: dict[str, str]) -> Iterator[Answer]:
    """Every item of a list, page by page, up to 20 000."""
    cursor: dict[str, str] = {}
    for _ in range(_MOST // _PAGE):
        page = _get(session, f"{path}?{urlencode({'limit': _PAGE, **query, **cursor})}")
        yield from page["items"]
        if page["next_cursor"] is None:
            return
        cursor = {"cursor": page["next_cursor"]}
    raise CommandError(f"there are more than {_MOST}: read the others at the console")


def _query(state: str | None) -> dict[str, str]:
    if state is None:
        return {}
    if state not in _STATES:
        raise CommandError(f"--state is one of {', '.join(_STATES)}, not {state!r}")
    return {"state": state}


def _id(text: str) -> str:
    if not text.isascii() or not text.replace("_", "").isalnum() or len(text) > 40:
        raise CommandError(f"{text!r} is no id of a purge: it looks like prg_… ('sallyport recordings purges')")
    return text


def _line_of(one: Answer) -> str:
    decided = one["decided_by"]["display_name"] if one["decided_by"] else "nobody"
    return (
        f"{one['id']}  {one['state']}  {one['recordings']} recordings, {_size(one['bytes'])}  "
        f"asked {_minute(one['asked_at'])} by {one['asked_by']['display_name']}, decided by {decided}: {one['reason']}"
    )


def _minute(moment: str) -> str:
    return datetime.fromisoformat(moment).strftime("%Y-%m-%dT%H:%MZ")


def _size(count: int) -> str:
    return f"{count / _GIB:.1f} GiB"
