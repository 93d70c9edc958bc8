"""The version; the build takes it from here as well."""

__version__ = "0.1.0"
