"""Authorities and certificates of servers, made by openssl when a test runs, and trusted by nothing else."""

from __future__ import annotations

import shutil
import ssl
import subprocess
from dataclasses import dataclass
from pathlib import Path

import pytest


@dataclass(frozen=True)
class Authority:
    """An authority, in a folder of its own."""

    folder: Path

    @property
    def certificate(self) -> Path:
        """In PEM form: what a client is to trust."""
        return self.folder / "authority.pem"

    @classmethod
    def made(cls, folder: Path) -> Authority:
        """Skips the test where there is no openssl."""
        if shutil.which("openssl") is None:
            pytest.skip("no certificates: openssl is not installed")
        folder.mkdir()
        authority = cls(folder)
        _openssl(
            *("req", "-x509", "-subj", f"/CN={folder.name}", "-days", "2", *_NEW_KEY),
            *("-keyout", folder / "authority.key", "-out", authority.certificate),
        )
        return authority

    def server(self, *hosts: str, days: int = 2) -> ssl.SSLContext:
        """For a server of those names or addresses; it expires in so many days, or has done so."""
        names = ",".join(f"{'IP' if host[0].isdigit() else 'DNS'}:{host}" for host in hosts)
        key, request, certificate = (self.folder / f"server.{kind}" for kind in ("key", "csr", "pem"))
        extensions = self.folder / "extensions"
        extensions.write_text(f"subjectAltName={names}\n")
        _openssl("req", "-new", "-subj", "/CN=server", *_NEW_KEY, "-keyout", key, "-out", request)
        _openssl(
            *("x509", "-req", "-in", request, "-out", certificate, "-days", str(days), "-extfile", extensions),
            *("-CA", self.certificate, "-CAkey", self.folder / "authority.key", "-CAcreateserial"),
        )
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        context.load_cert_chain(certificate, key)
        return context

    def rehashed(self, folder: Path) -> Path:
        """A directory with the certificate, by its hash, as OpenSSL looks for it."""
        folder.mkdir()
        shutil.copy(self.certificate, folder)
        _openssl("rehash", folder)
        return folder


_NEW_KEY = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes")


def _openssl(*arguments: str | Path) -> None:
    subprocess.run(["openssl", *arguments], check=True, capture_output=True)
