"""cometfs: a Comet account (comet.com) as a directory, and Comet's JavaScript SDK in Python."""

from cometfs.comet.api import API

__all__ = ["API"]
__version__ = "0.1.0"
