// SPDX-License-Identifier: MIT
// Requests that several kinds of file know. Linux: asm-generic/ioctls.h, linux/sockios.h.
#pragma once

#include "lib/types.h"

constexpr u32 FIONREAD = 0x541B;  // bytes that wait to be read
constexpr u32 TIOCOUTQ = 0x5411;  // bytes that wait to be sent
constexpr u32 SIOCINQ = FIONREAD; // their names for sockets
constexpr u32 SIOCOUTQ = TIOCOUTQ;
