"""The version of bootsim."""

__version__ = "0.1.0"
