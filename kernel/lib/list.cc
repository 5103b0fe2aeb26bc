// SPDX-License-Identifier: MIT
// The one thing that intrusive lists need out of line: the report of a node destroyed while it is on a list.
#include "lib/list.h"
#include "lib/printk.h"

void list_node_destroyed_while_linked(const void *node)
{
    panic("list node %p destroyed while linked", node);
}
