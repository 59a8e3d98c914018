"""``python -m toposlearn``: the command line."""

from toposlearn.cli import main

if __name__ == "__main__":
    main()
