"""What schemathesis has to be told about the API beyond docs/openapi.yaml.

Bodies here are not JSON, so their types need a writer and readers; and two rules about blocks of numbers cannot
be written in a schema.
"""

import json
import re
from urllib.parse import unquote

import schemathesis

# A single number as the service reads it: separators between the signs, a plus sign before the first.
SEPARATORS = r"[ \-.()/]*"
NUMBER = re.compile(rf"{SEPARATORS}\+?{SEPARATORS}([0-9*#]{SEPARATORS}){{1,15}}")
# The plain way to write one: the pattern of `Number` in the document.
PLAIN = re.compile(r"[+]?([0-9*#][ .]?){1,15}")


@schemathesis.serializer(
    "application/passport",
    "application/vnd.herald.batch",
    "application/jose",
    "application/vnd.herald.admission",
    "application/private-token-request",
    "application/private-token-amortized-batch-request",
)
def write_bytes(ctx, value):
    """Bytes go out as they are; generated text stands for as many bytes as it has signs."""
    if isinstance(value, str):
        return value.encode("ascii", errors="replace")
    return value if isinstance(value, bytes) else str(value).encode()


@schemathesis.deserializer(
    "application/passport",
    "application/vnd.herald.batch",
    "application/private-token-response",
    "application/private-token-amortized-batch-response",
)
def read_bytes(ctx, response):
    """One sign for each byte, so that the schema's lengths are checked."""
    return response.content.decode("latin-1")


@schemathesis.deserializer("application/private-token-issuer-directory")
def read_directory(ctx, response):
    """The issuer directory is JSON under a name of its own."""
    return json.loads(response.content)


@schemathesis.deserializer("text/uri-list")
def read_uri_list(ctx, response):
    """The text of the list, after a check of the form of each line (RFC 2483)."""
    text = response.content.decode("ascii")
    for line in text.splitlines(keepends=True):
        if not re.fullmatch(r"(# truncated|https?://[^\s]+/ppts/[0-9a-f]{32})\r\n", line):
            raise ValueError(f"not a line of a URI list: {line!r}")
    return text


@schemathesis.hook
def filter_case(ctx, case):
    """Leaves out what the schema and the service say different things of, both rightly.

    A number with more separators in it than the plain way of writing that the schema shows ("0..0") is a number all
    the same. A block that runs past the last number of its length is refused: the sum of two parameters is beyond a
    schema. And what is no block because its count is no count may still be one number with separators in it
    ("12225550100-0.5"), which is answered as that number.
    """
    def parameter(name):
        return unquote(str((case.path_parameters or {}).get(name, "")))

    number = parameter("number")
    if NUMBER.fullmatch(number) and not PLAIN.fullmatch(number):
        return False
    if case.operation.definition.raw.get("operationId") != "listBlock":
        return True
    first, count = parameter("first"), parameter("count")
    if re.fullmatch("[0-9]+", first) and re.fullmatch("[0-9]{1,4}", count):
        return int(first) + int(count) <= 10 ** len(first)
    return not NUMBER.fullmatch(f"{first}-{count}")
