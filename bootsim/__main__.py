"""`python -m bootsim`."""

from bootsim.cli import main

if __name__ == "__main__":
    main()
