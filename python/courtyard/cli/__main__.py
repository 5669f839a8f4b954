"""``python -m courtyard.cli``: the courtyard command."""

from courtyard.cli import main

main()
