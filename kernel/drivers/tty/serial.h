// SPDX-License-Identifier: MIT
// The serial console's receiving side (16550 at COM1, GSI 4). Output is arch_console_write(),
// polled.
#pragma once

#include "lib/types.h"

/// Called for each byte received, in hard IRQ. Null: bytes are thrown away. Set once at boot by the
/// terminal layer.
extern void (*console_rx)(u8 c);
/// Bytes lost to an overrun of the receive FIFO.
u64 serial_overruns();
