// SPDX-License-Identifier: MIT
// The headers of the C++ standard library that the kernel may include, all of the freestanding
// kind: this list is the rule, and the build refuses others (check_std.py). They must work without
// exceptions, RTTI, heap and threads.
#pragma once

#include <array>
#include <atomic>
#include <bit>
#include <concepts>
#include <cstdarg>
#include <cstddef>
#include <cstdint>
#include <initializer_list>
#include <limits>
#include <new>
#include <span>
#include <type_traits>
#include <utility>
