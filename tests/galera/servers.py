"""A Galera cluster on loopback: three MariaDB servers, started, killed and joined again by tests.

It needs ``mariadbd``, Galera's library, ``rsync`` and the script that joins servers with it (on Debian the
packages ``mariadb-server``, ``galera-4`` and ``rsync``). Servers are small and quick to notice a death:
those settings are for tests.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import pwd
import random
import re
import shutil
import socket
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from asyncmy import errors
from tests.mariadb import administer

PATIENCE = 60.0
"""Seconds after which a server that should be there counts as broken."""

_LIBRARIES = (
    "/usr/lib/galera/libgalera_smm.so",
    "/usr/lib64/galera-4/libgalera_smm.so",
    "/usr/lib64/galera/libgalera_smm.so",
)
_PATH = os.pathsep.join([os.environ.get("PATH", ""), "/usr/sbin", "/usr/local/sbin"])
_MEMORY = Path("/dev/shm")
_OPTIONS = (
    "--bind-address=127.0.0.1",
    "--skip-log-bin",
    "--binlog-format=ROW",
    "--innodb-autoinc-lock-mode=2",
    "--innodb-flush-log-at-trx-commit=2",
    "--innodb-buffer-pool-size=32M",
    "--innodb-log-file-size=8M",
    "--performance-schema=OFF",
    "--max-connections=100",
    "--wsrep-on=ON",
    "--wsrep-sst-method=rsync",
    "--wsrep-node-address=127.0.0.1",
)
_GROUP = (
    "gcache.size=16M;gcache.page_size=16M;evs.keepalive_period=PT0.2S;evs.inactive_check_period=PT0.2S;"
    "evs.suspect_timeout=PT2S;evs.inactive_timeout=PT5S;evs.install_timeout=PT5S"
)
_RECOVERED = re.compile(r"Recovered position: (\S+)")


def missing() -> str | None:
    """Say what a cluster would need that this machine doesn't have."""
    for program in ("mariadbd", "mariadb-install-db", "rsync", "wsrep_sst_rsync"):
        if shutil.which(program, path=_PATH) is None:
            return program
    if not any(Path(each).exists() for each in _LIBRARIES):
        return "libgalera_smm.so"
    return "a user 'mysql' that servers run as" if os.geteuid() == 0 and _owner() is None else None


def _owner() -> pwd.struct_passwd | None:
    """The user that servers run as when this process is root's: rsync refuses root."""
    try:
        return pwd.getpwnam("mysql")
    except KeyError:
        return None


@dataclass(eq=False)
class GaleraServer:
    """One server; ``process`` is None while it is down.

    ``ports``: for clients, for the other servers, and for two ways of catching up.
    """

    number: int
    folder: Path
    ports: list[int]
    process: subprocess.Popen[bytes] | None = None

    @property
    def port(self) -> int:
        return self.ports[0]

    @property
    def group_port(self) -> int:
        return self.ports[1]

    @property
    def log(self) -> Path:
        return self.folder.with_suffix(".log")

    @property
    def place(self) -> str:
        return f"127.0.0.1:{self.port}"


class GaleraCluster:
    def __init__(self, folder: Path) -> None:
        self._folder = folder
        ports = _free_ports(12)
        self.servers = [
            GaleraServer(number, folder / f"server{number}", ports[number::3]) for number in range(3)
        ]
        self._library = next(each for each in _LIBRARIES if Path(each).exists())
        self._members = ",".join(f"127.0.0.1:{each.group_port}" for each in self.servers)

    async def start(self) -> None:
        first, *others = self.servers
        self._install(first)
        await self.join(first, "--wsrep-new-cluster")
        for server in others:
            self._own(server.folder)
            await self.join(server)

    def url(self, database: str, *servers: GaleraServer) -> str:
        """URL of a database on these servers, to be tried in this order (none given: all of them)."""
        places = ",".join(server.place for server in servers or self.servers)
        return f"mariadb://root@{places}/{database}"

    def kill(self, server: GaleraServer) -> None:
        assert server.process is not None
        server.process.kill()
        server.process.wait()
        server.process = None

    async def join(self, server: GaleraServer, *options: str) -> None:
        """Start a server, and wait until it has caught up with the others."""
        self._launch(server, *options)
        await self._ready(server)

    async def rejoin(self, server: GaleraServer) -> None:
        """Start a server again that was killed; what it missed comes from the others."""
        position = await asyncio.to_thread(self._recover, server)
        await self.join(server, f"--wsrep-start-position={position}")

    async def found_again(self) -> None:
        """Start a cluster again of which all servers were killed, with the one that got farthest."""
        positions = [await asyncio.to_thread(self._recover, server) for server in self.servers]
        order = sorted(zip(positions, self.servers, strict=True), key=lambda each: -_sequence_number(each[0]))
        state = order[0][1].folder / "grastate.dat"
        state.write_text(state.read_text().replace("safe_to_bootstrap: 0", "safe_to_bootstrap: 1"))
        founding = ["--wsrep-new-cluster"]
        for position, server in order:
            await self.join(server, f"--wsrep-start-position={position}", *founding)
            founding = []

    async def mend(self) -> None:
        """Have all servers up, whatever a test that failed has left."""
        if not all([server.process and await self._is_ready(server) for server in self.servers]):
            self.close()
            await self.found_again()

    async def go_on_alone(self, server: GaleraServer) -> None:
        """Declare a server the cluster that has lost the others, as an operator does who knows them dead."""
        await self.execute(server, "SET GLOBAL wsrep_provider_options='pc.bootstrap=YES'")
        await self._ready(server)

    async def execute(self, server: GaleraServer, *statements: str) -> list[Any]:
        return await administer(sa.make_url(f"mariadb://root@{server.place}"), list(statements))

    async def conflicts(self) -> int:
        """How many transactions have failed because another server was faster."""
        count = 0
        for server in self.servers:
            for name in ("wsrep_local_cert_failures", "wsrep_local_bf_aborts"):
                count += int((await self.execute(server, f"SHOW STATUS LIKE '{name}'"))[0][1])
        return count

    def close(self) -> None:
        for server in self.servers:
            if server.process is not None:
                self.kill(server)

    # -- processes ------------------------------------------------------------------------

    def _install(self, server: GaleraServer) -> None:
        self._own(server.folder)
        done = subprocess.run(
            [
                _program("mariadb-install-db"),
                "--no-defaults",
                f"--datadir={server.folder}",
                "--auth-root-authentication-method=normal",
                "--skip-test-db",
                "--innodb-log-file-size=8M",
                *_as_owner(),
            ],
            capture_output=True,
            text=True,
        )
        assert done.returncode == 0, done.stdout + done.stderr

    def _own(self, folder: Path) -> None:
        folder.mkdir(exist_ok=True)
        owner = _owner()
        if os.geteuid() == 0 and owner is not None:
            for path in (self._folder, folder):
                os.chown(path, owner.pw_uid, owner.pw_gid)

    def _command(self, server: GaleraServer, *options: str) -> list[str]:
        group = (
            f"base_port={server.group_port};gmcast.listen_addr=tcp://127.0.0.1:{server.group_port};"
            f"ist.recv_addr=127.0.0.1:{server.ports[2]};{_GROUP}"
        )
        return [
            _program("mariadbd"),
            "--no-defaults",
            *_as_owner(),
            *_OPTIONS,
            f"--datadir={server.folder}",
            f"--socket={server.folder.with_suffix('.socket')}",
            f"--port={server.port}",
            f"--pid-file={server.folder.with_suffix('.pid')}",
            f"--wsrep-provider={self._library}",
            f"--wsrep-provider-options={group}",
            f"--wsrep-cluster-address=gcomm://{self._members}",
            f"--wsrep-sst-receive-address=127.0.0.1:{server.ports[3]}",
            *options,
        ]

    def _launch(self, server: GaleraServer, *options: str) -> None:
        with server.log.open("ab") as log:
            server.process = subprocess.Popen(
                self._command(server, *options),
                cwd=self._folder,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                env={**os.environ, "PATH": _PATH},
            )

    def _recover(self, server: GaleraServer) -> str:
        """Ask a server that is down how far its data go; only then the others send just the rest."""
        done = subprocess.run(
            self._command(server, "--wsrep-recover"), capture_output=True, text=True, cwd=self._folder
        )
        found = _RECOVERED.search(done.stdout + done.stderr)
        assert found, done.stdout + done.stderr
        return found.group(1)

    async def _ready(self, server: GaleraServer) -> None:
        async with asyncio.timeout(PATIENCE):
            while not await self._is_ready(server):
                assert server.process is not None
                assert server.process.poll() is None, server.log.read_text(errors="replace")[-5000:]
                await asyncio.sleep(0.1)

    async def _is_ready(self, server: GaleraServer) -> bool:
        try:
            rows = await self.execute(server, "SHOW STATUS LIKE 'wsrep_ready'")
        except (OSError, errors.MySQLError):
            return False
        return bool(rows) and rows[0][1] == "ON"


def _sequence_number(position: str) -> int:
    return int(position.rpartition(":")[2])


def _program(name: str) -> str:
    found = shutil.which(name, path=_PATH)
    assert found is not None, name
    return found


def _as_owner() -> list[str]:
    return ["--user=mysql"] if os.geteuid() == 0 else []


def _free_ports(count: int) -> list[int]:
    """Ports that stay free while their servers are down: none that outgoing connections may get."""
    chance = random.SystemRandom()
    found: list[int] = []
    while len(found) < count:
        port = chance.randrange(15_000, 32_000)
        with socket.socket() as attempt, contextlib.suppress(OSError):
            attempt.bind(("127.0.0.1", port))
            found.append(port)
    return found


@contextmanager
def a_galera_cluster() -> Iterator[GaleraCluster]:
    where = _MEMORY if _MEMORY.is_dir() else None
    with tempfile.TemporaryDirectory(prefix="tramontane-galera-", dir=where) as folder:
        cluster = GaleraCluster(Path(folder))
        try:
            asyncio.run(cluster.start())
            yield cluster
        finally:
            cluster.close()
