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
  client_max_body_size 50m;
  include {folder}/{gate_file};
  server {{
    listen 127.0.0.1:{port};
    include {folder}/countermand-doors.conf;
    location = /Microsoft-Server-ActiveSync {{
      auth_request /countermand-question;
      error_page 403 = @countermand-closed;
      error_page 500 = @active-sync;
      try_files /countermand-asks-first @active-sync;
    }}
    location @active-sync {{
      {rewrite}
      proxy_pass http://127.0.0.1:{behind};
      proxy_http_version 1.1;
      proxy_set_header Connection "";
      proxy_set_header Host $host;
      proxy_set_header x-webobjects-server-protocol HTTP/1.0;
      proxy_set_header x-webobjects-remote-host $remote_addr;
      proxy_set_header x-webobjects-server-name $server_name;
      proxy_set_header x-webobjects-server-url $scheme://$host:$server_port;
      proxy_set_header x-webobjects-server-port $server_port;
      proxy_read_timeout 3600s;
      proxy_buffering off;
    }}
    location /mail/ {{
      auth_request /countermand-question;
      error_page 403 = @countermand-closed;
      error_page 500 = @webmail;
      try_files /countermand-asks-first @webmail;
    }}
    location @webmail {{
      proxy_pass http://127.0.0.1:{behind};
    }}
  }}
  {own_groupware}
}}
"""
_ALWAYS_MAIL: Final = """
  server {{
    listen 127.0.0.1:{behind};
    location / {{ return 200 "mail"; }}
  }}
"""
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
        (folder / "cache").mkdir()
        text = _CONFIG.format(
            folder=folder,
            port=port,
            behind=behind,
            gate_file=gate_file,
            rewrite="rewrite ^ /SOGo/Microsoft-Server-ActiveSync break;" if groupware else "",
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
