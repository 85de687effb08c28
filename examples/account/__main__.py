"""account: who is who, for all services of the domain."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))  # where `common` is

from account.web import create
from common.main import run

sys.exit(run(Path(__file__).resolve().parent, 3104, create))
