# SPDX-License-Identifier: MIT
"""Writes "newc" cpio archives (the initramfs format) byte for byte the same from the same input: no times, no owners."""

import stat


class Archive:
    """Entries in the order of their addition; parent directories are added by themselves."""

    def __init__(self):
        self.entries = []
        self.names = set()

    def _add(self, name, mode, data=b"", device=(0, 0)):
        name = name.strip("/")
        if name in self.names:
            raise ValueError(f"{name} is in the archive already")
        parent = name.rpartition("/")[0]
        if parent and parent not in self.names:
            self.directory(parent)
        self.names.add(name)
        self.entries.append((name, mode, data, device))

    def directory(self, name, mode=0o755):
        """Add an empty directory."""
        self._add(name, stat.S_IFDIR | mode)

    def file(self, name, data, mode=0o644):
        """Add a regular file with these bytes."""
        self._add(name, stat.S_IFREG | mode, data)

    def symlink(self, name, target):
        """Add a symbolic link."""
        self._add(name, stat.S_IFLNK | 0o777, target.encode())

    def character_device(self, name, major, minor, mode=0o666):
        """Add a character device."""
        self._add(name, stat.S_IFCHR | mode, device=(major, minor))

    def bytes(self):
        """The whole archive, padded to 512 bytes."""
        out = bytearray()
        for number, (name, mode, data, device) in enumerate(self.entries + [("TRAILER!!!", 0, b"", (0, 0))], 1):
            links = 2 if stat.S_ISDIR(mode) else 1
            fields = (number, mode, 0, 0, links, 0, len(data), 0, 0, *device, len(name) + 1, 0)
            out += b"070701" + b"".join(b"%08X" % field for field in fields)
            out += name.encode() + b"\0"
            out += bytes(-len(out) % 4)
            out += data
            out += bytes(-len(out) % 4)
        return bytes(out) + bytes(-len(out) % 512)
