"""`python -m holymon` is the command `holymon`."""

from holymon.cli.main import main

if __name__ == "__main__":
    main()
