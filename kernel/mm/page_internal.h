// SPDX-License-Identifier: MIT
// Between the files of mm/ only.
#pragma once

#include "mm/page.h"

/// alloc_pages() without asking should_fail_alloc: for the slab layer, whose own callers were asked
/// already, so that an injected failure hits the request that a test counts and not a refill. Any
/// context.
page *alloc_pages_unchecked(gfp flags, unsigned order);
