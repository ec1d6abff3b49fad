"""``python -m bridgekit.cli``."""

from bridgekit.cli import main

main()
