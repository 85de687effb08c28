"""organization: who belongs to which organization, as a JSON API."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))  # where `common` is

from common.main import run
from organization.web import create

sys.exit(run(Path(__file__).resolve().parent, 3105, create))
