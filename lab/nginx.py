"""nginx of Debian before a groupware, with what deploy/ ships for it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from typing import Final

from lab.ground import HERE, Server, held_port, need, open_folder, running, ship

_CONFIG: Final = """
daemon off;
pid {folder}/nginx.pid;
error_log {folder}/error.log info;
worker_processes 1;
events {{ }}
http {{
  access_log off;
  client_body_temp_path {folder}/b; proxy_temp_path {folder}/p; fastcgi_temp_path {folder}/f;
  uwsgi_temp_path {folder}/u; scgi_temp_path {folder}/s;
  include {folder}/{gate_file};
  server {{
    listen 127.0.0.1:{port};
    include {folder}/countermand-doors.conf;
    include {folder}/countermand-groupware.conf;
  }}
  {own_groupware}
}}
"""
_ALWAYS_MAIL: Final = """
  server {{
    listen 127.0.0.1:{behind};
    client_max_body_size 0;
    location / {{ return 200 "mail"; }}
  }}
"""
# The lines that its own file has commented out, and says that SOGo needs.
_FOR_SOGO: Final = {"#rewrite": "rewrite", "#proxy_set_header": "proxy_set_header"}
DOORS: Final = "countermand-groupware.conf"
FAIL_OPEN: Final = "countermand-gate.conf"
DOWN_LOG: Final = "countermand-down.log"
FAIL_STATIC: Final = "countermand-gate-cached.conf"


@contextmanager
def nginx_that_asks(
    gate_port: int,
    *,
    groupware: int | None = None,
    gate_file: str = FAIL_OPEN,
    changes: Mapping[str, str] | None = None,
    gate_changes: Mapping[str, str] | None = None,
    patient: bool = True,
) -> Iterator[Server]:
    """Start nginx with its gate on `gate_port`, before SOGo, or before something that says "mail".

    `gate_file` is one of deploy/nginx; `gate_changes` are made in it, `changes` in
    countermand-doors.conf.
    """
    need("nginx")
    with open_folder("nginx") as folder, ExitStack() as stack:
        port, hop = (stack.enter_context(held_port()) for _ in range(2))
        behind = groupware or stack.enter_context(held_port())
        moved = {"127.0.0.1:8483": f"{HERE}:{hop}", "/var/lib/nginx": f"{folder}/cache"}
        moved = (moved if gate_file == FAIL_STATIC else {}) | dict(gate_changes or {})
        ship(f"nginx/{gate_file}", folder, gate_port, moved, patient=patient)
        log = {"/var/log/nginx/countermand-down.log": str(folder / DOWN_LOG)}
        in_doors = {**log, **(changes or {})}
        ship("nginx/countermand-doors.conf", folder, gate_port, in_doors, patient=patient)
        before = {"127.0.0.1:20000": f"{HERE}:{behind}"} | (_FOR_SOGO if groupware else {})
        ship(f"nginx/{DOORS}", folder, gate_port, before)
        (folder / "cache").mkdir()
        text = _CONFIG.format(
            folder=folder,
            port=port,
            gate_file=gate_file,
            own_groupware="" if groupware else _ALWAYS_MAIL.format(behind=behind),
        )
        config = folder / "nginx.conf"
        config.write_text(text, encoding="utf-8")
        command = ["nginx", "-p", str(folder), "-c", str(config)]
        with running(command, [port], folder / "error.log"):
            yield Server(port, folder)


def address(server: Server) -> str:
    """The address of a web server of the lab."""
    return f"http://{HERE}:{server.port}"
