"""`python -m reports` is `splitting-analysis`, also where nothing is installed."""

from reports.cli import main

main()
