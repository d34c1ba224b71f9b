"""What the tests of the daemon from outside share; conftest.py makes fixtures of it."""

from .certificates import certificate, expired_certificate
from .daemon import Answer, Daemon, build_directory
from .recorder import Recorder, Run
from .sign import hmac_hex, hmac_text, standard_webhooks, timestamped
from .until import until
from .worker import Peer, Worker

__all__ = [
    "Answer",
    "Daemon",
    "Peer",
    "Recorder",
    "Run",
    "Worker",
    "build_directory",
    "certificate",
    "expired_certificate",
    "hmac_hex",
    "hmac_text",
    "standard_webhooks",
    "timestamped",
    "until",
]
