"""``python -m procman.cli``: the program `stores`, where it is not on PATH."""

from procman.cli import main

main()
