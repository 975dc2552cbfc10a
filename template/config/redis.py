"""The addresses of Redis, in the one form that every client reads alike.

Clients differ: given rediss://host, for example, only some verify the certificate.
"""

import re
from pathlib import Path
from urllib.parse import parse_qsl, quote, unquote, urlencode, urlsplit

from config.env import env

# Valkey has names of its own, and sockets have two.
KINDS = {
    "redis": "redis",
    "valkey": "redis",
    "rediss": "rediss",
    "valkeys": "rediss",
    "unix": "unix",
    "redis+socket": "unix",
}
# The parameters of rediss:// and what each may be
TLS = {
    "ssl_cert_reqs": "none|optional|required",
    "ssl_check_hostname": "false|true",
    "ssl_ca_certs": ".+",
    "ssl_certfile": ".+",
    "ssl_keyfile": ".+",
}
# Errors quote nothing: a part of the password may be anywhere in a wrong address.
FORMS = (
    "Use redis://user:password@host:port/number, rediss:// for TLS, or "
    "unix:///path?db=number, and percent-encode the user and the password. "
    f"The parameters are db, and with TLS {', '.join(TLS)}."
)
MISREAD = (KeyError, ValueError)
ONE_SERVER = "Use the address of one server: Sentinel and Cluster are not supported."


def redis_url(text):
    """Return an address in the form that every client reads alike.

    Raises ValueError if it has another form, which some client would misread.
    """
    if re.match(r"[a-z+]*(sentinel|cluster)\b", text):
        raise ValueError(ONE_SERVER)
    try:
        url = urlsplit(text)
        kind = KINDS[url.scheme]
        query = dict(parse_qsl(url.query, strict_parsing=bool(url.query)))
        path = "" if kind == "unix" else url.path.strip("/")
        number = query.pop("db", query.pop("virtual_host", path)) or "0"
        login = f"{encode(url.username)}:{encode(url.password)}@".removeprefix(":@")
        host, port = url.hostname or "", 6379 if url.port is None else url.port
    except MISREAD:
        raise ValueError(FORMS) from None
    # A host in a socket's address is the first folder of a path with one / too few.
    pattern = "" if kind == "unix" else r"[\w.:-]+"
    is_number = re.fullmatch("[0-9]{1,5}", number)
    if url.fragment or not (re.fullmatch(pattern, host) and port and is_number):
        raise ValueError(FORMS)
    if kind == "rediss":
        query = verification(query)
    elif query:
        raise ValueError(FORMS)
    if kind == "unix":
        return f"unix://{login}{quote(unquote(url.path))}?db={int(number)}"
    host = f"[{host}]" if ":" in host else host
    return f"{kind}://{login}{host}:{port}/{int(number)}?{urlencode(query)}".rstrip("?")


def encode(part):
    return quote(unquote(part or ""), safe="")


def verification(query):
    """Return the parameters of TLS, which verify the server unless one of them differs."""
    verify = "required" if env.bool("REDIS_VERIFY_TLS", default=True) else "none"
    query = {"ssl_cert_reqs": verify} | query
    query["ssl_cert_reqs"] = query["ssl_cert_reqs"].removeprefix("CERT_").lower()
    for name, value in query.items():
        if not re.fullmatch(TLS.get(name, ""), value):
            raise ValueError(FORMS)
        if TLS[name] == ".+" and not Path(value).is_file():
            raise ValueError(f"The file of its {name} does not exist.")
    return query


def is_redis(text):
    """Return whether a text is meant as an address of Redis, not of another server."""
    return not re.match(r"(?!redis|valkey|unix|sentinel)[\w+-]*(://|$)", text)
