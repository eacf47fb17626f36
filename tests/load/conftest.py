"""Certificates for TLS in the field."""

from tests.promises.faults.conftest import certificate, tls

__all__ = ["certificate", "tls"]
