# SPDX-License-Identifier: MIT
"""What the scripts and the system tests share: paths, building, the QEMU command, namespaces, the stock Linux guest."""
