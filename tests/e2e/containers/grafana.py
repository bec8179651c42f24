"""In Grafana's place: takes secrets from files as its image does, reads what is provisioned, asks each source, and says
on its health page what it found.
"""

import http.client
import json
import os
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import psycopg
from ruamel.yaml import YAML

PATIENCE_S = 2
PORT = 3000


def provisioned(kind: str) -> list[dict[str, Any]]:
    """What the files of a folder say, with variables of the environment in their places."""
    folder = Path(os.environ["GF_PATHS_PROVISIONING"]) / kind
    return [YAML(typ="safe").load(os.path.expandvars(file.read_text())) for file in sorted(folder.glob("*.yaml"))]


def boards() -> list[str]:
    """The titles of the dashboards."""
    folders = [provider["options"]["path"] for file in provisioned("dashboards") for provider in file["providers"]]
    return [json.loads(file.read_text())["title"] for folder in folders for file in sorted(Path(folder).glob("*.json"))]


def answer(source: dict[str, Any]) -> str:
    """What a source says when it is asked. Raises what is in the way."""
    if source["type"] == "prometheus":
        connection = http.client.HTTPConnection(source["url"].removeprefix("http://"), timeout=PATIENCE_S)
        connection.request("GET", "/-/healthy")
        return connection.getresponse().read().decode().strip()
    (host, port), told = source["url"].split(":"), source["jsonData"]
    address = {"host": host, "port": port, "dbname": told["database"], "sslmode": told["sslmode"]}
    login = {"user": source["user"], "password": source["secureJsonData"]["password"]}
    with psycopg.connect(**address, **login, connect_timeout=PATIENCE_S) as archive:
        return f"{archive.execute('select count(*) from trades').fetchone()}"


def found() -> dict[str, Any]:
    """Everything that Grafana would have to find. Raises what is in the way."""
    (Path(os.environ["GF_PATHS_DATA"]) / "grafana.db").touch()
    sources = [source for file in provisioned("datasources") for source in file["datasources"]]
    return {
        "admin": len(Path(os.environ["GF_SECURITY_ADMIN_PASSWORD__FILE"]).read_text().strip()),
        "boards": boards(),
        "sources": {source["uid"]: answer(source) for source in sources},
    }


class Health(BaseHTTPRequestHandler):
    """Well when everything was found, with what it was; else with what was in the way."""

    def do_GET(self) -> None:
        """Look anew."""
        try:
            status, text = 200, json.dumps(found())
        except (OSError, LookupError, ValueError, http.client.HTTPException, psycopg.Error) as wrong:
            status, text = 503, f"{type(wrong).__name__}: {wrong}"
            print(text, flush=True)
        self.send_response(status)
        self.end_headers()
        self.wfile.write(text.encode())

    def do_HEAD(self) -> None:
        """As a health check asks."""
        self.do_GET()


if __name__ == "__main__":
    ThreadingHTTPServer(("", PORT), Health).serve_forever()
