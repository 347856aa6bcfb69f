"""HTTP connections on which nothing is sent twice behind our back.

clickhouse-connect repeats an insert by itself when the server closes the connection. The repeat may be acknowledged
although the engine ignored it (its deduplication log is written before the part), and the recorder, which checks what
is there after every insert that was not acknowledged at the first try, would never hear of it.
"""

from typing import Any

from clickhouse_connect.driver.exceptions import OperationalError
from clickhouse_connect.driver.httputil import get_pool_manager_options
from urllib3 import BaseHTTPResponse, PoolManager
from urllib3.exceptions import HTTPError


class OncePool(PoolManager):
    """Turns every transport error into the client's own, which it does not repeat."""

    def __init__(self) -> None:
        super().__init__(**get_pool_manager_options())

    def request(self, method: str, url: str, *arguments: Any, **more: Any) -> BaseHTTPResponse:
        try:
            return super().request(method, url, *arguments, **{**more, "retries": False})
        except HTTPError as error:
            raise OperationalError(f"{type(error).__name__} on the way to ClickHouse") from error
