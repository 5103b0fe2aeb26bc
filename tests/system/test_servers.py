# SPDX-License-Identifier: MIT
"""Servers that nobody here wrote, unmodified from Debian's packages, each with clients of others on the host: what they answer is
compared with what was stored or sent; they end when asked to; and afterwards the kernel holds no object more than before."""

import contextlib
import http.client
import json
import re
import socket
import struct
import subprocess
from concurrent.futures import ThreadPoolExecutor

import pytest
import redis
from pymemcache.client.base import Client as Memcache

from patience import PATIENCE, until
from softnet import servers

CLIENTS = 16
# The caches whose objects a server, its connections, threads and memory take, and gives back. (Of dentry and the inodes of tmpfs,
# files stay.)
HELD = ("TCP UDP UNIX sock_inode_cache filp eventpoll eventpoll_epi eventpoll_pwq task_struct mm_struct files_cache sighand_cache "
        "signal_cache request_sock_TCP").split()
PATTERN = bytes((n * 7 + (n >> 8)) & 0xff for n in range(100_003))  # /test/pattern.bin of the initramfs


@pytest.fixture(scope="module", params=[("debug", 2), ("release", 1), ("release", 4)], ids=lambda param: f"{param[0]}-{param[1]}cpu")
def host(request, guests, tmp_path_factory):
    """A guest with the servers in its initramfs: the kernel that checks itself, one CPU, four CPUs."""
    kind, smp = request.param
    initrd = tmp_path_factory.mktemp("servers") / "initrd.cpio"
    initrd.write_bytes(servers.initramfs(guests.linux))
    guest = guests.boot(initrd=initrd, smp=smp, memory="512M", debug=kind == "debug")
    guest.sh("busybox mkdir -p /tmp/www; cat /test/pattern.bin > /tmp/www/pattern.bin; echo small page > /tmp/www/index.html")
    yield guest
    trouble = guest.console.trouble()
    guest.close()
    assert trouble is None


def held(guest):
    """Objects in use of the caches that must be as full afterwards as before."""
    slabs = guest.slabs()
    return {name: slabs[name] for name in HELD if name in slabs}


def nothing_left(guest, before):
    """Wait until the caches hold no more than before."""
    for name, count in before.items():
        until(lambda name=name, count=count: held(guest)[name] <= count,
                   f"more {name} than the {count} of before; all before: {before}")


@contextlib.contextmanager
def serving(guest, line, port, signal=15, status=0):
    """A server in the guest while the body runs; then it is asked to end, ends with this status, and has left nothing."""
    before = held(guest)
    with guest.background(line) as job:
        until(lambda: listens(guest, port), f"nobody listens on port {port}: {job.output()[-2000:]}")
        yield job
        ended, _ = guest.status(f"kill -{signal} {job.pid}; wait {job.pid}", PATIENCE)
        assert ended == status, job.output()[-2000:]
    nothing_left(guest, before)
    assert guest.console.trouble() is None


def listens(guest, port):
    """Whether a TCP socket of the guest listens on the port (asked without a connection: some servers serve one only)."""
    return re.search(rf":{port:04X} 00000000:0000 0A", guest.cat("/proc/net/tcp"))


def together(work, count=CLIENTS):
    """work(0), work(1), … at the same time; their values. An exception of one is raised here."""
    with ThreadPoolExecutor(count) as pool:
        return list(pool.map(work, range(count)))


# --- Redis ---------------------------------------------------------------------------------------------------------

REDIS = "/usr/bin/redis-server --bind 0.0.0.0 --protected-mode no --dir /tmp --save '' --logfile /tmp/redis.log"


def client_of(guest):
    """redis-py's client, patient."""
    return redis.Redis(guest.ip, socket_timeout=PATIENCE, socket_connect_timeout=PATIENCE)


def finished(client, running, outcome):
    """Wait for a child of Redis to have ended well, by INFO persistence."""
    until(lambda: client.info("persistence")[running] == 0, f"{running} stays")
    assert client.info("persistence")[outcome] == "ok"


def redis_basics(client):
    """Values of all sizes, pipelines, publish and subscribe, transactions."""
    for size in (0, 1, 100, 1448, 65536, 1_000_000):
        value = (PATTERN * 11)[size % 97:][:size]
        assert client.set(f"size{size}", value) and client.get(f"size{size}") == value
    pipeline = client.pipeline(transaction=False)
    for n in range(1000):
        pipeline.set(f"piped{n}", n).get(f"piped{n}")
    assert pipeline.execute()[1::2] == [b"%d" % n for n in range(1000)]
    with client.pubsub() as subscription:
        subscription.subscribe("news")
        assert subscription.get_message(timeout=PATIENCE)["type"] == "subscribe"
        assert client.publish("news", "hello") == 1
        assert subscription.get_message(timeout=PATIENCE)["data"] == b"hello"
    with client.pipeline() as transaction:
        transaction.watch("watched")
        transaction.multi()
        transaction.incr("watched").incr("watched")
        assert transaction.execute() == [1, 2]
        transaction.watch("watched")
        client.set("watched", 0)
        transaction.multi()
        transaction.incr("watched")
        with pytest.raises(redis.WatchError):
            transaction.execute()


def redis_crowd(guest):
    """Many connections: what each one adds is there; half of them block in BLPOP until the others push."""
    def add(number):
        client = client_of(guest)
        for _ in range(50):
            client.incr("counter")
            client.set(f"own{number}", number)
            assert client.get(f"own{number}") == b"%d" % number
        if number % 2:
            client.rpush(f"list{number - 1}", number)
            return None
        return client.blpop(f"list{number}", PATIENCE)

    values = together(add)
    assert values[::2] == [(b"list%d" % n, b"%d" % (n + 1)) for n in range(0, CLIENTS, 2)]
    assert client_of(guest).get("counter") == b"%d" % (50 * CLIENTS)


def redis_persistence(client):
    """Children that write what memory was when they were forked, while the parent goes on changing it."""
    client.bgsave()
    for n in range(200):
        client.set(f"during{n}", n)
    finished(client, "rdb_bgsave_in_progress", "rdb_last_bgsave_status")
    client.config_set("appendonly", "yes")
    finished(client, "aof_rewrite_in_progress", "aof_last_bgrewrite_status")
    client.bgrewriteaof()
    for n in range(200):
        client.set(f"appended{n}", n)
    finished(client, "aof_rewrite_in_progress", "aof_last_bgrewrite_status")
    return client.dbsize()


def test_redis(host):
    host.sh("busybox rm -rf /tmp/appendonlydir /tmp/dump.rdb")
    with serving(host, REDIS, 6379):
        done = subprocess.run(["redis-cli", "-h", host.ip, "ping"], capture_output=True, text=True, timeout=PATIENCE, check=True)
        assert done.stdout == "PONG\n"
        client = client_of(host)
        redis_basics(client)
        redis_crowd(host)
        count = redis_persistence(client)
        client.close()
    with serving(host, f"{REDIS} --appendonly yes", 6379):  # all is there again
        client = client_of(host)
        until(lambda: client.info("persistence")["loading"] == 0, "still loading")
        assert client.dbsize() == count and client.get("appended199") == b"199" and client.get("size1000000") == \
            (PATTERN * 11)[1_000_000 % 97:][:1_000_000]
        client.close()


# --- memcached -----------------------------------------------------------------------------------------------------


def memcached_over_udp(address):
    """A get in a datagram with memcached's frame header: request id, sequence number, number of datagrams, 0."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.settimeout(1)
        for request in range(PATIENCE):  # a datagram may be lost
            sock.sendto(struct.pack("!4H", request, 0, 1, 0) + b"get shared\r\n", address)
            with contextlib.suppress(TimeoutError):
                return sock.recv(2000)[8:]
    return None


def test_memcached(host):
    def work(number):
        with contextlib.closing(Memcache((host.ip, 11211), timeout=PATIENCE, connect_timeout=PATIENCE)) as client:
            values = {f"key-{number}-{n}": PATTERN[n:n * n + number] for n in range(1, 100)}
            assert client.set_many(values, noreply=False) == []
            assert client.get_many(list(values)) == {key: value for key, value in values.items()}
            assert client.set(f"large-{number}", PATTERN * 9, noreply=False) and client.get(f"large-{number}") == PATTERN * 9
            for _ in range(50):
                client.incr("shared", 1)
            value, token = client.gets(f"key-{number}-7")
            assert client.cas(f"key-{number}-7", value + b"!", token) and client.cas(f"key-{number}-7", b"late", token) is False
            assert client.delete(f"key-{number}-8", noreply=False) and client.get(f"key-{number}-8") is None

    with serving(host, "/usr/bin/memcached -u root -t 4 -U 11211 -l 0.0.0.0", 11211):
        with contextlib.closing(Memcache((host.ip, 11211), timeout=PATIENCE)) as client:
            client.set("shared", "0", noreply=False)
            together(work)
            assert client.get("shared") == b"%d" % (50 * CLIENTS)
            assert client.stats()[b"threads"] == 4
        assert memcached_over_udp((host.ip, 11211)) == b"VALUE shared 0 3\r\n800\r\nEND\r\n"


# --- nginx ---------------------------------------------------------------------------------------------------------


def workers(guest, master):
    """Pids of nginx's children."""
    return {int(line.split()[0]) for line in guest.sh("ps").splitlines() if line.split()[-1:] == ["nginx"] and
            line.split()[1] == str(master)}


def fetch(connection, path, **headers):
    """(status, body) of one GET."""
    connection.request("GET", path, headers=headers)
    answer = connection.getresponse()
    return answer.status, answer.read()


def test_nginx(host):
    def one_connection(_):
        with contextlib.closing(http.client.HTTPConnection(host.ip, timeout=PATIENCE)) as connection:
            for n in range(10):
                assert fetch(connection, "/pattern.bin") == (200, PATTERN)
                assert fetch(connection, "/") == (200, b"small page\n")
                assert fetch(connection, "/pattern.bin", Range=f"bytes={n}-{n * 5000}") == \
                    ((206, PATTERN[n:n * 5000 + 1]) if n else (206, PATTERN[:1]))
            assert fetch(connection, "/absent")[0] == 404

    def many_connections(_):
        for _ in range(10):
            with contextlib.closing(http.client.HTTPConnection(host.ip, timeout=PATIENCE)) as connection:
                assert fetch(connection, "/pattern.bin", Connection="close") == (200, PATTERN)

    with serving(host, "/usr/sbin/nginx -c /srv/nginx.conf -g 'daemon off;'", 80, signal=3) as job:
        first = until(lambda: len(found := workers(host, job.pid)) == 4 and found, "nginx does not have its four workers")
        together(one_connection)
        with ThreadPoolExecutor(1) as pool:  # while the workers are replaced, nobody is turned away
            requests = pool.submit(together, many_connections)
            host.sh(f"kill -1 {job.pid}")
            requests.result()
        until(lambda: len(found := workers(host, job.pid)) == 4 and not found & first, "SIGHUP does not bring new workers")
        done = subprocess.run(["wrk", "-c", "50", "-t", "1", "-d", "1", "--timeout", "60", f"http://{host.ip}/"],
                              capture_output=True, text=True, timeout=PATIENCE, check=True)
        assert "Non-2xx" not in done.stdout and "Socket errors" not in done.stdout, done.stdout


# --- iperf3 --------------------------------------------------------------------------------------------------------

TRANSFERS = {"TCP": ["-n", "4M"], "TCP back": ["-n", "4M", "-R"], "TCP four at once": ["-n", "4M", "-P", "4"],
             "sendfile": ["-n", "4M", "-Z"], "UDP": ["-u", "-b", "10M", "-n", "500K", "-l", "1000"],
             "UDP back": ["-u", "-b", "10M", "-n", "500K", "-l", "1000", "-R"]}


def judge_transfer(name, report):
    """What iperf3's JSON says of one transfer."""
    report = json.loads(report)
    assert "error" not in report, (name, report["error"])
    if "-u" in TRANSFERS[name]:
        assert report["end"]["sum"]["lost_packets"] < report["end"]["sum"]["packets"], name
    else:
        assert report["end"]["sum_sent"]["bytes"] >= 4 << 20 and report["end"]["sum_received"]["bytes"] > 0, name


def test_iperf3_server(host):
    with serving(host, "/usr/bin/iperf3 -s --forceflush > /tmp/iperf3.log", 5201, status=1):  # its status for a signal, on Linux too
        for number, name in enumerate(TRANSFERS, 1):
            until(lambda: f"(test #{number})" in host.cat("/tmp/iperf3.log") and listens(host, 5201), "not ready again")
            done = subprocess.run(["iperf3", "-J", "-c", host.ip, *TRANSFERS[name]], capture_output=True, text=True,
                                  timeout=PATIENCE, check=False)
            judge_transfer(name, done.stdout)


def test_iperf3_client(host):
    before = held(host)
    for name, words in TRANSFERS.items():
        with subprocess.Popen(["iperf3", "-s", "-1", "-B", host.host_ip, "--forceflush"], stdout=subprocess.PIPE, text=True) as server:
            while "listening" not in server.stdout.readline():
                assert server.poll() is None
            host.status(f"/usr/bin/iperf3 -J -c {host.host_ip} {' '.join(words)} > /tmp/iperf3.json", PATIENCE)
            judge_transfer(name, host.cat("/tmp/iperf3.json"))
            server.communicate(timeout=PATIENCE)
    nothing_left(host, before)


# --- python3's asyncio ---------------------------------------------------------------------------------------------


def test_asyncio_echo(host):
    def echo(number):
        with socket.create_connection((host.ip, 7000), PATIENCE) as sock:
            for size in (1, 1448, 5000 + number, 60000):
                sock.sendall(PATTERN[:size])
                assert read_all(sock, size) == PATTERN[:size]
            sock.sendall(PATTERN[number:])
            sock.shutdown(socket.SHUT_WR)  # the rest comes back all the same, then the end
            assert read_all(sock, len(PATTERN)) == PATTERN[number:]

    with serving(host, "/usr/bin/python3 /srv/asyncio_echo.py 7000", 7000) as job:
        job.wait_for("asyncio: port 7000", PATIENCE)
        together(echo)
        with host.udp(timeout=1, connect=7000) as sock:
            for number in range(PATIENCE):  # a datagram may be lost, or its answer late
                sock.send(b"datagram %d" % number)
                with contextlib.suppress(TimeoutError):
                    assert sock.recv(100) in {b"datagram %d" % n for n in range(number + 1)}
                    break
            else:
                pytest.fail("no datagram comes back")
    assert "asyncio: ended" in job.output()


def read_all(sock, size):
    """That many bytes, or fewer if the stream ends."""
    data = b""
    while len(data) < size and (part := sock.recv(65536)):
        data += part
    return data
