"""Following a request until the plant has decided it."""

import time
from collections.abc import Mapping
from datetime import datetime

from spa_knock.client import talk
from spa_knock.client.answers import printable
from spa_knock.client.errors import ClientError
from spa_knock.client.home import Home
from spa_knock.client.language import term, tr

_POLL_SECONDS = 3.0
_POLL_FAILURES = 20
"""--wait goes on over this many unanswered questions in a row: a minute or more of a lost line."""


def until_decided(home: Home, identity: str, *, quiet: bool) -> Mapping[str, object]:
    """Follows a request until it is decided; a lost line is put up with for a while. Raises ClientError."""
    failures, said = 0, ""
    while True:
        try:
            asked = talk.call_site(home, "GET", f"/access-requests/{identity}")
            failures = 0
        except ClientError as error:
            failures += 1
            if error.code != "no_answer" or failures > _POLL_FAILURES:
                raise
            talk.say(tr("No answer; still waiting ..."), quiet=quiet)
            time.sleep(_POLL_SECONDS)
            continue
        state = str(asked.get("state"))
        if state != said:
            talk.say(f"{datetime.now().astimezone():%H:%M:%S} {printable(term(state))}", quiet=quiet)
            said = state
        if state != "submitted":
            return asked
        time.sleep(_POLL_SECONDS)
