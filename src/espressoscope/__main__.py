"""`python -m espressoscope`: the command line where no command `espressoscope` is on the path."""

from espressoscope.cli import main

if __name__ == "__main__":
    main()
