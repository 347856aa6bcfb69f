"""What the engine's read side runs, on the parser's own form of a query."""

import pytest

from services.local.engine_guard import Refusal, check, code_of, escaped, status_of

TABLE_FUNCTIONS = frozenset({"url", "s3", "file", "numbers", "view", "eval", "newly_invented"})


@pytest.mark.parametrize(
    "query",
    [
        "SELECT 1",
        "WITH 1 AS x SELECT x",
        "(SELECT 1) UNION ALL (SELECT 2)",
        "SHOW TABLES",
        "DESCRIBE TABLE events",
        "EXISTS TABLE events",
        "EXPLAIN SELECT 1",
        "SELECT * FROM numbers(3)",
        "SELECT 'x INTO OUTFILE y', 'it''s url(\\'a\\')'",
        "SELECT `file` FROM t",
        "SELECT file FROM t",
        "SELECT count() FROM view(SELECT 1)",
    ],
)
def test_reading_is_served(query: str) -> None:
    """Also when a text or a name looks like something that is not."""
    check(query, TABLE_FUNCTIONS)


@pytest.mark.parametrize(
    "query",
    [
        "INSERT INTO events VALUES (1)",
        "DROP TABLE events",
        "ALTER TABLE events DELETE WHERE 1",
        "SYSTEM STOP MERGES",
        "KILL QUERY WHERE 1",
        "SET max_threads = 1",
        "USE other",
        "CREATE TABLE x (a Int8) ENGINE = Memory",
        "SELECT 1 INTO OUTFILE 'x'",
        "EXPLAIN SELECT 1 INTO OUTFILE 'x'",
        "SELECT * FROM url('http://x', CSV)",
        "SELECT * FROM s3('x')",
        "SELECT file('/etc/passwd')",
        "SELECT `file`('/etc/passwd')",
        "SELECT \"FILE\"('/etc/passwd')",
        "SELECT * FROM (SELECT * FROM eval('SELECT 1'))",
        "SELECT * FROM newly_invented(1)",
        "SELECT 1 PARALLEL WITH SYSTEM STOP MERGES",
        "",
    ],
)
def test_everything_else_is_refused(query: str) -> None:
    """A table function that a newer engine brings is refused until somebody has thought about it."""
    with pytest.raises(Refusal) as refused:
        check(query, TABLE_FUNCTIONS)
    assert refused.value.code == 164


def test_a_parameter_carries_any_text() -> None:
    """The query reaches the parser as it was written."""
    assert escaped("a\\b\n\t'c'") == "a\\\\b\\n\\t'c'"


def test_errors_have_a_servers_status() -> None:
    """Clients tell wrong queries from a server in trouble by it."""
    assert code_of("Code: 60. DB::Exception: Unknown table. Code: 1.") == 60
    assert [status_of(code) for code in (62, 164, 60, 202, 241)] == [400, 403, 404, 503, 500]
