"""`sallyport alive`: asks the console's readiness over its own port, as a container's health check does.

Standard library only, because it runs every few seconds.
"""

import http.client
import json
import ssl
from contextlib import closing
from typing import Final

from broker.app.layout import Layout
from broker.app.settings import Settings

_SECONDS: Final = 5.0
_ANSWER_BYTES: Final = 65_536


class NotAlive(Exception):
    """What was asked for does not answer, or says that it is not ready."""


def readiness(settings: Settings, layout: Layout) -> dict[str, bool]:
    """What the console says of each part. Raises NotAlive when it does not answer as ours."""
    plant = settings.plant_face
    try:
        context = ssl.create_default_context(cafile=str(layout.site_root))
        context.minimum_version = ssl.TLSVersion.TLSv1_3
        with closing(http.client.HTTPSConnection(plant.host, plant.port, timeout=_SECONDS, context=context)) as asked:
            asked.request("GET", "/readyz")
            document = json.loads(asked.getresponse().read(_ANSWER_BYTES))
        return {str(name): value is True for name, value in document["parts"].items()}
    except (OSError, http.client.HTTPException, ValueError, KeyError, TypeError, AttributeError) as error:
        raise NotAlive(f"the console at {plant.host} port {plant.port} does not answer: {error}") from None


def ask(settings: Settings, layout: Layout, part: str | None = None) -> None:
    """Raises NotAlive unless the part, or with None every part, is ready."""
    parts = readiness(settings, layout)
    silent = [name for name, ready in parts.items() if not ready and part in (None, name)]
    if silent or (part is not None and part not in parts):
        raise NotAlive(f"not ready: {', '.join(silent) or part}")
