// SPDX-License-Identifier: MIT
// Between skbuff.cc and skbuff_data.cc only: areas that hold packet data and the skb_shared_info
// behind it.
#pragma once

#include "net/core/skbuff.h"

constexpr u32 SKB_SHINFO_SIZE = SKB_DATA_ALIGN(sizeof(skb_shared_info));

/// Area with room for `size` data bytes; *size becomes what it really holds. Null: no memory, or
/// absurd size.
u8 *skb_alloc_area(u32 *size, gfp flags);
/// Free an area alone (not what its shared info refers to).
void skb_free_area(u8 *head, bool head_frag);
/// Drop skb's share of its area; the last owner frees it with its fragments. skb->head dangles
/// afterwards.
void skb_release_data(sk_buff *skb);
