"""A client that does not take no for an answer: one knock with the grant it has, whatever became of that grant.

Runs at the engineer's desk and uses the client's own agent, which still holds the grant's certificate. Prints one JSON
object: whether the knock opened anything and, when a grant is named, with which code the site refuses it another
certificate.

    python -m deploy.demo.stubborn NAME [GRANT]
"""

from __future__ import annotations

import json
import sys

from spa_knock.client.control import ControlLink
from spa_knock.client.helper import connect_through
from spa_knock.client.places import control_socket

_SOME_KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIAABAgMEBQYHCAkKCwwNDg8QERITFBUWFxgZGhscHR4f"


def try_again(name: str, grant_id: str | None = None) -> dict[str, object]:
    """Try to get in; raises ClientError when the agent itself has nothing to knock with."""
    with ControlLink(control_socket()) as agent:
        connection = connect_through(agent.ask("knock", name=name, round=0))
        if connection is not None:
            connection.close()
        tried: dict[str, object] = {"connected": connection is not None}
        if grant_id is not None:
            status, body = agent.call("POST", f"/grants/{grant_id}/ssh-certificate", {"public_key": _SOME_KEY})
            tried |= {"status": status, "code": str(body.get("code"))}
        return tried


if __name__ == "__main__":
    json.dump(try_again(*sys.argv[1:]), sys.stdout)
