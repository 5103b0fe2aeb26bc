# SPDX-License-Identifier: GPL-2.0-or-later
# The devices of our QEMU: a q35 board, the two NIC models, and what tests and debugging plug in.
CONFIG_Q35=y
CONFIG_HPET=y
CONFIG_ISA_DEBUG=y
CONFIG_PCIE_PORT=y
# The stock igb shares code with e1000e.
CONFIG_E1000E_PCI_EXPRESS=y
CONFIG_IGB_PCI_EXPRESS=y
CONFIG_IGB_LITE=y
