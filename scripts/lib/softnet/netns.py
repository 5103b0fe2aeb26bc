# SPDX-License-Identifier: MIT
"""Network namespaces and TAP devices. A namespace made here belongs to the calling process and its children and goes with
them, so there is nothing to clean up. Without root a user namespace is made around it."""

import ctypes
import fcntl
import os
import struct
import subprocess

from .shell import Failed

CLONE_NEWUSER = 0x10000000
CLONE_NEWNET = 0x40000000
TUNSETIFF = 0x400454CA
IFF_TAP = 0x0002
IFF_NO_PI = 0x1000
IFF_VNET_HDR = 0x4000


def _unshare(flags):
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.unshare(flags):
        code = ctypes.get_errno()
        raise OSError(code, os.strerror(code))


def enter_new():
    """Put this process (it must have one thread) into a network namespace of its own, with lo up."""
    uid, gid = os.getuid(), os.getgid()
    try:
        if uid == 0:
            _unshare(CLONE_NEWNET)
        else:
            _unshare(CLONE_NEWUSER | CLONE_NEWNET)
            for name, text in (("setgroups", "deny"), ("uid_map", f"0 {uid} 1"), ("gid_map", f"0 {gid} 1")):
                with open(f"/proc/self/{name}", "w", encoding="ascii") as file:
                    file.write(text)
    except OSError as error:
        raise Failed(f"this machine does not allow a network namespace ({error.strerror}): run as root, or allow "
                     "user namespaces (sysctl kernel.unprivileged_userns_clone=1)") from error
    ip("link", "set", "lo", "up")


def ip(*words):
    """Run iproute2's ip."""
    done = subprocess.run(["ip", *words], capture_output=True, text=True, check=False)
    if done.returncode:
        raise Failed(f"'ip {' '.join(words)}' failed: {done.stderr.strip() or 'is iproute2 installed?'}")


def open_tap(name, address, prefix=24, vnet_hdr=False):
    """Make a TAP device with an IPv4 address, without IPv6 (so that it sends nothing by itself), on which the host asks for MAC addresses
    patiently (a guest of a busy machine may take long to answer); returns its descriptor. With vnet_hdr it takes packets that the host has still to segment or to checksum."""
    flags = IFF_TAP | IFF_NO_PI | (IFF_VNET_HDR if vnet_hdr else 0)
    try:
        tap = os.open("/dev/net/tun", os.O_RDWR)
        fcntl.ioctl(tap, TUNSETIFF, struct.pack("16sH22x", name.encode(), flags))
    except OSError as error:
        raise Failed(f"cannot make a TAP device ({error.strerror}): load the module tun, or give this user access to "
                     "/dev/net/tun, or use --net user") from error
    try:
        with open(f"/proc/sys/net/ipv6/conf/{name}/disable_ipv6", "w", encoding="ascii") as file:
            file.write("1")
    except OSError:
        pass  # no IPv6 in this kernel
    try:
        for kind in ("mcast_solicit", "ucast_solicit"):
            with open(f"/proc/sys/net/ipv4/neigh/{name}/{kind}", "w", encoding="ascii") as file:
                file.write("240")
    except OSError:
        pass  # /proc/sys may be read-only: then a guest that is silent for three seconds is unreachable for a while
    ip("addr", "add", f"{address}/{prefix}", "dev", name)
    ip("link", "set", name, "up")
    os.set_inheritable(tap, True)
    return tap
