// SPDX-License-Identifier: MIT
// The version that the banner, uname(2) and /proc/version show.
#pragma once

#define SOFTNET_VERSION "0.1"
