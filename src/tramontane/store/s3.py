"""Big values in an S3 bucket, by the obstore library. Credentials are found as AWS's own tools do it, and
never shown: neither they nor the bodies of answers, which name keys, get into messages."""

from __future__ import annotations

import datetime as dt
import os
import re
import uuid
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import parse_qs, unquote, urlsplit

import obstore
from obstore.exceptions import BaseError
from obstore.store import S3Store

from tramontane.store.errors import DatabaseSetupError, ValueStoreUnavailableError

if TYPE_CHECKING:
    from obstore.store import S3Config

_PARAMETERS: Final = ("endpoint", "region")
_ENDPOINT_VARIABLES: Final = ("AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT_URL")
_CODE: Final = re.compile(r"<Code>(\w+)</Code>")
_REASON: Final = re.compile(r" - ([^<\n]+)")
_NO_BUCKET: Final = "NoSuchBucket"


class Bucket:
    """Objects below a prefix of a bucket."""

    def __init__(self, url: str) -> None:
        parsed = urlsplit(url)
        self.shown = f"s3://{parsed.netloc}{parsed.path}"
        given = parse_qs(parsed.query, keep_blank_values=True)
        strange = sorted(given.keys() - set(_PARAMETERS))
        if strange or "@" in parsed.netloc:
            what = f"the parameter '{strange[0]}'" if strange else "credentials in the address"
            raise DatabaseSetupError(
                f"big values can't be kept at an s3:// address with {what}; it takes endpoint and region, "
                "credentials come from AWS's environment variables"
            )
        endpoint = given["endpoint"][0] if "endpoint" in given else _endpoint()
        config: S3Config = {} if endpoint is None else {"endpoint": endpoint}
        if "region" in given:
            config["region"] = given["region"][0]
        is_plain = endpoint is not None and endpoint.startswith("http://")
        try:
            self._store = S3Store(
                parsed.netloc,
                prefix=unquote(parsed.path).strip("/") or None,
                config=config,
                client_options={"allow_http": is_plain, "timeout": "30s", "connect_timeout": "5s"},
                retry_config={"max_retries": 3, "retry_timeout": dt.timedelta(seconds=10)},
                credential_provider=_profile(),
            )
        except BaseError as error:
            raise DatabaseSetupError(f"the bucket {self.shown} can't be used: {_words(error)}") from None

    async def check(self) -> None:
        trial = f".check/{uuid.uuid4().hex}"
        try:
            await self.put(trial, b"")
            await self.delete([trial])
        except ValueStoreUnavailableError as error:
            raise DatabaseSetupError(error.message) from None

    async def put(self, place: str, data: bytes) -> None:
        with self._errors("written"):
            await obstore.put_async(self._store, place, data)

    async def get(self, place: str) -> bytes | None:
        with self._errors("read"):
            try:
                found = await obstore.get_async(self._store, place)
                return bytes(await found.bytes_async())
            except FileNotFoundError as error:
                if _code(error) == _NO_BUCKET:
                    raise
                return None

    async def delete(self, places: Sequence[str]) -> None:
        with self._errors("written"):
            await obstore.delete_async(self._store, list(places))

    async def all(self) -> AsyncIterator[tuple[str, float]]:
        with self._errors("read"):
            async for some in obstore.list(self._store):
                for each in some:
                    yield each["path"], each["last_modified"].timestamp()

    @contextmanager
    def _errors(self, done: str) -> Iterator[None]:
        try:
            yield
        except (BaseError, OSError) as error:
            raise ValueStoreUnavailableError(
                f"the bucket {self.shown} of big values can't be {done}: {_words(error)}"
            ) from None


def _endpoint() -> str | None:
    return next((os.environ[name] for name in _ENDPOINT_VARIABLES if os.environ.get(name)), None)


def _profile() -> Any:
    """What reads the credentials of a profile, if one is named; everything else needs no help."""
    if not os.environ.get("AWS_PROFILE") or os.environ.get("AWS_ACCESS_KEY_ID"):
        return None
    try:
        from obstore.auth.boto3 import Boto3CredentialProvider  # noqa: PLC0415 (an optional dependency)
    except ImportError:
        raise DatabaseSetupError(
            "AWS_PROFILE names a profile of AWS's configuration files, which boto3 reads; "
            "install it with: pip install boto3"
        ) from None
    return Boto3CredentialProvider()


def _code(error: Exception) -> str:
    found = _CODE.search(str(error))
    return found[1] if found else ""


def _words(error: Exception) -> str:
    """What went wrong in a few words: S3's code, or the first line without its address."""
    found = _REASON.search(str(error))
    return _code(error) or (found[1].strip() if found else type(error).__name__)
