"""`python -m pipeline` is `closecast`."""

from pipeline.cli import main

main()
