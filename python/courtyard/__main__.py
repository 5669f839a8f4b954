"""``python -m courtyard``: the courtyard command."""

from courtyard.cli import main

main()
