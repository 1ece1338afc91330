"""A server process with the bounds that a test wants.

    python serving_process.py GALLERY SETTINGS GATE

SETTINGS: JSON. GATE: a file; while it is there, searches of the store wait.
"""

import json
import logging
import sys
import time
from pathlib import Path
from typing import Any

from resight.gallery import Gallery
from resight.gallery.records import Hits
from resight.service import ServiceSettings, create_app, run


def main() -> int:
    logging.basicConfig(level=logging.INFO, stream=sys.stderr)
    folder, told, gate = sys.argv[1:]
    settings = ServiceSettings(**json.loads(told))
    with Gallery.open(folder, device="cpu") as gallery:
        found = gallery.store.search

        def search(*args: Any, **more: Any) -> Hits:
            while Path(gate).exists():
                time.sleep(0.01)
            return found(*args, **more)

        gallery.store.search = search  # type: ignore[method-assign]
        finished = run(create_app(gallery, settings), settings)
    print("finished" if finished else "unfinished", flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
