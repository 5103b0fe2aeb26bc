# SPDX-License-Identifier: MIT
"""Debian packages that are not installed but unpacked: downloaded by apt from this machine's own mirror, kept in the cache; and an
initramfs made of some of them (bash, coreutils, procps, python3), out/debian/rootfs.cpio."""

import os
import re
import shutil
import stat
import subprocess
import tempfile
from pathlib import Path

from .cpio import Archive
from .mkrootfs import EMPTY_DIRECTORIES, FILES, executables
from .paths import BUILD, CACHE, DEBIAN_ROOTFS
from .shell import Failed, run, say

STORE = CACHE / "debian"
KEYRING = Path("/usr/share/keyrings/debian-archive-keyring.gpg")
ROOT_PACKAGES = ["bash", "coreutils", "procps", "python3-minimal", "busybox-static", "dash", "grep", "sed", "mawk", "diffutils", "findutils",
                 "libc-bin", "hostname", "ncurses-base"]
# What a closure of dependencies brings that nothing here starts: package management and its interpreter, time zones.
UNWANTED = re.compile(r"^(adduser|dpkg|debconf|cdebconf|perl|tar|tzdata|media-types|mailcap|init-system-helpers|lsb-base|sysvinit-utils|"
                      r"debianutils|libnsl|libtirpc|gcc-\d+-base)")
LEFT_OUT = re.compile(r"^usr/share/(doc|man|info|locale|lintian|bash-completion|doc-base|menu|pixmaps|applications|gcc)|"
                      r"/(__pycache__|idlelib|tkinter|lib2to3/tests|ensurepip|turtledemo|distutils/tests|tkinter_test|ttk_test)(/|$)|"
                      r"^usr/lib/x86_64-linux-gnu/gconv/|^usr/lib/systemd|^usr/lib/python3/dist-packages")


def depends(packages):
    """apt's lists of hard dependencies: {package: its lines}."""
    done = subprocess.run(["apt-cache", "depends", "-i", *packages], capture_output=True, text=True, check=False)
    parts = re.split(r"^(\S+)\n", done.stdout, flags=re.M)
    return {name: text for name, text in zip(parts[1::2], parts[2::2]) if not name.startswith("<")}


def python_version():
    """The version of Debian's python3 here, e.g. "3.11"."""
    found = re.search(r"Depends: python(3\.\d+)-minimal", depends(["python3-minimal"]).get("python3-minimal", ""))
    if not found:
        raise Failed("apt knows no python3-minimal: run apt-get update as root")
    return found.group(1)


def closure(packages):
    """The packages and all that they depend on, without what is unwanted; of alternatives the first."""
    found, todo = [], list(packages)
    while todo:
        found += todo
        wanted = []
        for text in depends(todo).values():
            alternative = False
            for bar, name in re.findall(r"^ ( |\|)(?:Pre)?Depends: (\S+)$", text, re.M):
                if not alternative and not name.startswith("<") and not UNWANTED.match(name):
                    wanted.append(name.removesuffix(":any"))
                alternative = bar == "|"
        todo = [name for name in dict.fromkeys(wanted) if name not in found]
    return found


def unpacked(package):
    """Directory with a package's files, from the cache or the mirror."""
    target = STORE / package
    if target.is_dir():
        return target
    STORE.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=STORE) as scratch:
        run(["apt-get", "-qq", "-o", "APT::Sandbox::User=", "download", package],
            f"downloading {package} (is the mirror reachable? try apt-get update)", cwd=scratch, stderr=subprocess.DEVNULL)
        run(["dpkg-deb", "-x", next(Path(scratch).glob("*.deb")), f"{scratch}/tree"], f"unpacking {package}")
        os.chmod(f"{scratch}/tree", 0o755)
        os.rename(f"{scratch}/tree", target)
    return target


def source(package):
    """The unpacked .orig archive of a source package, from the cache or the mirror; apt with directories of our own, as this machine
    may have no deb-src lines."""
    target = STORE / f"{package}-source"
    if target.is_dir():
        return target
    done = run(["apt-get", "indextargets", "--format", "$(SITE) $(RELEASE) $(COMPONENT)", "Created-By: Packages"],
               "reading apt's configuration", capture_output=True, text=True)
    key = f"[signed-by={KEYRING}] " if KEYRING.exists() else ""
    lines = [f"deb-src {key}{line}" for line in sorted(set(done.stdout.splitlines()))
             if re.search(r"/debian(-security)? \S+ main$", line) and "backports" not in line]
    if not lines:
        raise Failed("no Debian mirror is configured in /etc/apt")
    STORE.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=STORE) as scratch:
        for name in ("lists/partial", "cache/archives/partial", "tree"):
            (Path(scratch) / name).mkdir(parents=True)
        (Path(scratch) / "list").write_text("\n".join(lines) + "\n")
        options = ["-qq", "-o", f"Dir::Etc::sourcelist={scratch}/list", "-o", "Dir::Etc::sourceparts=-",
                   "-o", f"Dir::State::lists={scratch}/lists", "-o", f"Dir::Cache={scratch}/cache", "-o", "APT::Sandbox::User="]
        run(["apt-get", *options, "update"], "reading the mirror's list of sources", stderr=subprocess.DEVNULL)
        run(["apt-get", *options, "source", "--download-only", "--tar-only", package], f"downloading {package}'s source",
            cwd=scratch, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        archive = next(path for path in Path(scratch).glob("*.orig.tar.*") if path.suffix != ".asc")
        run(["tar", "-xf", archive, "-C", f"{scratch}/tree", "--strip-components=1"], f"unpacking {archive.name}")
        os.rename(f"{scratch}/tree", target)
    return target


def merged(name):
    """A package's path in a merged-/usr tree: bin, sbin and lib* are links into usr."""
    top = name.split("/", 1)[0]
    return f"usr/{name}" if top in ("bin", "sbin", "lib", "lib64", "lib32", "libx32") else name


def add_tree(archive, directory):
    """A package's files, links and directories."""
    for path in sorted(directory.rglob("*")):
        name = merged(str(path.relative_to(directory)))
        if name in archive.names or LEFT_OUT.search(name) or name in ("usr/bin", "usr/sbin", "usr/lib", "usr/lib64"):
            continue
        mode = path.lstat().st_mode
        if stat.S_ISLNK(mode):
            archive.symlink(name, os.readlink(path))
        elif stat.S_ISDIR(mode):
            archive.directory(name, mode & 0o7777)
        elif stat.S_ISREG(mode):
            archive.file(name, path.read_bytes(), mode & 0o7777)


def build(target=DEBIAN_ROOTFS):
    """Write the initramfs: Debian's packages, our test programs in /test, python3's own tests without those that need the network."""
    version = python_version()
    names = closure([*ROOT_PACKAGES, f"libpython{version}-stdlib"]) + [f"libpython{version}-testsuite"]
    archive = Archive()
    for name in ("usr", "usr/bin", "usr/sbin", "usr/lib", "usr/lib64"):
        archive.directory(name)
    for name in ("bin", "sbin", "lib", "lib64"):
        archive.symlink(name, f"usr/{name}")
    for name in EMPTY_DIRECTORIES:
        if name != "lib":
            archive.directory(name, 0o1777 if name == "tmp" else 0o755)
    archive.character_device("dev/console", 5, 1, 0o600)
    archive.character_device("dev/null", 1, 3)
    for name in names:
        add_tree(archive, unpacked(name))
    if "usr/bin/sh" not in archive.names:
        archive.symlink("usr/bin/sh", "dash")
    for path in executables(BUILD / "userland" / "tests" / "system" / "guest"):
        archive.file(f"test/{path.name}", path.read_bytes(), 0o755)
    for name, text in FILES.items():
        if name not in archive.names:
            archive.file(name, text.encode())
    target.parent.mkdir(parents=True, exist_ok=True)
    data = archive.bytes()
    if not target.exists() or target.stat().st_size != len(data) or target.read_bytes() != data:
        partial = target.with_name(target.name + ".new")
        partial.write_bytes(data)
        shutil.move(partial, target)
    say(f"debian: {len(names)} packages, {len(data) >> 20} MB")
