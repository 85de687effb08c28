"""netshop: an online shop. `dev` serves its pages, `worker` fulfils its orders."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))  # where `common` is

from common.main import run
from netshop.web import create
from netshop.worker import work

sys.exit(run(Path(__file__).resolve().parent, 3101, create, worker=work))
