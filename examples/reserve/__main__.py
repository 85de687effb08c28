"""reserve: a week's slots, booked and cancelled, seen by all at once."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))  # where `common` is

from common.main import run
from reserve.web import create

sys.exit(run(Path(__file__).resolve().parent, 3102, create))
