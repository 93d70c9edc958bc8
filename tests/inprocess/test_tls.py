"""Which certificates are trusted, and what firewalls are shown: real TLS servers on real sockets."""

from __future__ import annotations

import errno
import ssl
from collections.abc import Callable
from pathlib import Path

import pytest

from cometfs.comet.api import API
from cometfs.comet.http import trust
from cometfs.comet.network import INSTEAD, UNCHECKED_WARNING, Network, find_network
from cometfs.errnos import errno_of
from cometfs.errors import SetupError, Unreachable, Untrusted
from tests.inprocess.test_transport import KEY, NAMES, Server, answering, http
from tests.support.certificates import Authority

FURTHER = "COMET_INCLUDE_CUSTOM_CA_BUNDLE"


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority.made(tmp_path_factory.mktemp("one") / "authority")


@pytest.fixture(scope="module")
def other(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority.made(tmp_path_factory.mktemp("two") / "another")


@pytest.fixture(autouse=True)
def no_settings(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Nothing of this machine's own."""
    for name in (*INSTEAD, FURTHER, "COMET_INTERNAL_CHECK_TLS_CERTIFICATE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.chdir(tmp_path)


async def names_from(context: ssl.SSLContext) -> list[str]:
    """What a server with that certificate is asked and answers."""
    server = Server(answering(http(NAMES)))
    async with server.running(context) as url, API(KEY, url) as api:
        return await api.workspaces()


async def refusal_of(context: ssl.SSLContext) -> str:
    """Why a server with that certificate is not asked."""
    server = Server(answering(http(NAMES)))
    async with server.running(context) as url, API(KEY, url) as api:
        with pytest.raises(Unreachable, match="is not trusted") as raised:
            await api.workspaces()
    assert (server.requests, server.connections) == ([], 1)
    return str(raised.value)


def as_file(authority: Authority, _folder: Path) -> Path:
    return authority.certificate


def as_relative(authority: Authority, folder: Path) -> Path:
    """Below the working directory."""
    (folder / "mine.crt").write_bytes(authority.certificate.read_bytes())
    return Path("mine.crt")


def as_hashed(authority: Authority, folder: Path) -> Path:
    return authority.rehashed(folder / "hashed")


def as_files(authority: Authority, folder: Path) -> Path:
    """A directory of files of any name, some of which are no certificates."""
    place = folder / "files"
    place.mkdir()
    (place / "README").write_text("certificates of this company")
    (place / "b").write_bytes(authority.certificate.read_bytes())
    (place / "more").mkdir()
    return place


@pytest.mark.parametrize(
    ("variable", "form"),
    [
        (FURTHER, as_file),
        (FURTHER, as_relative),
        (FURTHER, as_files),
        ("SSL_CERT_FILE", as_file),
        ("SSL_CERT_FILE", as_relative),
        ("SSL_CERT_DIR", as_hashed),
        ("REQUESTS_CA_BUNDLE", as_file),
        ("REQUESTS_CA_BUNDLE", as_hashed),
        ("CURL_CA_BUNDLE", as_file),
    ],
)
async def test_certificates_that_a_variable_names_are_trusted(
    variable: str,
    form: Callable[[Authority, Path], Path],
    authority: Authority,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv(variable, str(form(authority, tmp_path)))
    assert await names_from(authority.server("localhost")) == ["a"]


async def test_comets_bundle_is_in_its_configuration_too(authority: Authority, tmp_path: Path) -> None:
    (tmp_path / ".comet.config").write_text(f"[comet_include]\ncustom_ca_bundle = {authority.certificate}\n")
    assert await names_from(authority.server("localhost")) == ["a"]


async def test_comets_bundle_is_trusted_beside_what_others_name(
    authority: Authority, other: Authority, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Merged, as Comet's own client does."""
    monkeypatch.setenv(FURTHER, str(authority.certificate))
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(other.certificate))
    assert await names_from(authority.server("localhost")) == ["a"]
    assert await names_from(other.server("localhost")) == ["a"]


async def test_the_systems_certificates_are_trusted(authority: Authority, monkeypatch: pytest.MonkeyPatch) -> None:
    """OpenSSL's own default place, which it lets a variable move."""
    server = Server(answering(http(NAMES)))
    async with server.running(authority.server("localhost")) as url, API(KEY, url, network=Network()) as api:
        monkeypatch.setenv("SSL_CERT_FILE", str(authority.certificate))
        assert await api.workspaces() == ["a"]


def test_what_is_named_takes_the_place_of_the_systems_certificates(other: Authority, tmp_path: Path) -> None:
    """As everywhere; Comet's own bundle does not."""
    instead = find_network(lambda _: None, {"SSL_CERT_FILE": str(other.certificate)}, tmp_path)
    assert trust.context(instead).cert_store_stats()["x509_ca"] == 1
    bundle = {FURTHER: str(other.certificate)}
    further = find_network(lambda name: bundle.get(name), {}, tmp_path)
    usual = trust.context(Network()).cert_store_stats()["x509_ca"]
    assert usual > 50
    assert trust.context(further).cert_store_stats()["x509_ca"] == usual + 1


async def test_an_unknown_authority_is_refused_with_the_variables_that_help(authority: Authority) -> None:
    """Before the key is sent; at once."""
    sentence = await refusal_of(authority.server("localhost"))
    assert f"): name the certificates of your organisation by {FURTHER}, or by SSL_CERT_FILE" in sentence


async def test_more_certificates_do_not_help_against_another_name(
    authority: Authority, monkeypatch: pytest.MonkeyPatch
) -> None:
    """So the sentence does not name them."""
    monkeypatch.setenv(FURTHER, str(authority.certificate))
    sentence = await refusal_of(authority.server("comet.example"))
    assert "mismatch" in sentence
    assert "name the server by --url as its certificate does" in sentence
    assert FURTHER not in sentence


async def test_an_expired_certificate_is_an_error_of_its_own(
    authority: Authority, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The network is there, and what answers may be no Comet."""
    monkeypatch.setenv(FURTHER, str(authority.certificate))
    server = Server(answering(http(NAMES)))
    async with server.running(authority.server("localhost", days=-1)) as url, API(KEY, url) as api:
        with pytest.raises(Untrusted, match=r"has expired.*: the server needs a new one") as raised:
            await api.workspaces()
    assert errno_of(raised.value) == errno.EPROTO
    assert server.requests == []


@pytest.mark.parametrize("word", ["false", "False", "0", "no"])
@pytest.mark.logs(UNCHECKED_WARNING)
async def test_unchecked_certificates_are_taken_with_a_warning(
    word: str, authority: Authority, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of another name and an unknown authority."""
    monkeypatch.setenv("COMET_INTERNAL_CHECK_TLS_CERTIFICATE", word)
    assert await names_from(authority.server("comet.example")) == ["a"]


@pytest.mark.parametrize("word", ["true", "1", "nonsense"])
async def test_any_other_word_keeps_the_check(word: str, authority: Authority, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COMET_INTERNAL_CHECK_TLS_CERTIFICATE", word)
    await refusal_of(authority.server("localhost"))


@pytest.mark.parametrize("variable", [FURTHER, "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "SSL_CERT_FILE"])
@pytest.mark.parametrize("content", [None, "no certificate"])
async def test_a_bundle_that_cannot_be_read_is_named_by_its_variable(
    variable: str, content: str | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    place = tmp_path / "bundle.pem"
    if content:
        place.write_text(content)
    monkeypatch.setenv(variable, str(place))
    async with API(KEY, "https://localhost:1") as api:
        with pytest.raises(SetupError, match=f"The certificates that {variable} names cannot be read"):
            await api.workspaces()


async def test_a_directory_without_certificates_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(FURTHER, str(tmp_path))
    async with API(KEY, "https://localhost:1") as api:
        with pytest.raises(SetupError, match=f"There are no certificates in {tmp_path}, which {FURTHER} names"):
            await api.workspaces()


async def test_the_header_of_a_firewall_goes_to_comet_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    """Never to the storage that Comet redirects to; nor does the key."""
    monkeypatch.setenv("COMET_ALLOW_HEADER_NAME", "X-Let-Through")
    monkeypatch.setenv("COMET_ALLOW_HEADER_VALUE", "sesame")
    storage = Server(answering(http(b"bytes")))
    async with storage.running() as elsewhere:
        comet = Server(answering(http(b"", status="302 Found", more=f"Location: {elsewhere}/b\r\n"), http(NAMES)))
        async with comet.running() as url, API(KEY, url) as api:
            assert await api.experiment_asset("k", "a") == b"bytes"
            assert await api.workspaces() == ["a"]
    assert [b"x-let-through: sesame" in request.lower() for request in comet.requests] == [True, True]
    assert [request for request in storage.requests if b"sesame" in request or KEY.encode() in request] == []
    assert len(storage.requests) == 1


@pytest.mark.parametrize(
    ("name", "value", "wrong"),
    [("a b", "c", "NAME"), ("a:", "c", "NAME"), ("authorization", "c", "NAME"), ("a", "c\r\nd: e", "VALUE")],
)
async def test_a_header_that_cannot_be_sent_is_a_setup_error(
    name: str, value: str, wrong: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without its value, which may be secret."""
    monkeypatch.setenv("COMET_ALLOW_HEADER_NAME", name)
    monkeypatch.setenv("COMET_ALLOW_HEADER_VALUE", value)
    with pytest.raises(SetupError, match=f"COMET_ALLOW_HEADER_{wrong}"):
        API(KEY, "https://localhost:1")


def test_a_name_without_a_value_is_no_header() -> None:
    assert find_network(lambda name: "a" if name.endswith("_NAME") else None, {}, Path()).headers == {}
    assert "sesame" not in repr(Network(header=("a", "sesame")))
