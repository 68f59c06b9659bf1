"""`python -m pipeline` is `closecast`."""

from pipeline.cli import main

if __name__ == "__main__":  # the processes of `closecast replay` import this module
    main()
