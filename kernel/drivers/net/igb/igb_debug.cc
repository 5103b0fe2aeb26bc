// SPDX-License-Identifier: MIT
// igb: the net/rings view (docs/debugfs.md) and, in the debug kernel, the test hooks that stop or slow the poll. Process context; the
// views read live rings without locks, so a line can be a moment older than the next.
#include "drivers/net/igb/igb.h"
#include "fs/seq_file.h"
#include "net/test_hooks.h"

static igb_adapter *adapters[8];
static unsigned num_adapters;

static void show_head(seq_file *m, const igb_ring *r)
{
    const igb_adapter *a = r->q_vector->adapter;
    unsigned q = r->queue_index;
    u32 head = r->is_rx ? a->hw.read(RDH, q) : a->hw.read(TDH, q);
    u32 tail = r->is_rx ? a->hw.read(RDT, q) : a->hw.read(TDT, q);
    size_t info = r->count * (r->is_rx ? sizeof(igb_rx_buffer) : sizeof(igb_tx_buffer));
    seq_printf(m,
               "%s %s %u count=%u ntu=%u ntc=%u nta=%u head=%u tail=%u desc=0x%016llx "
               "desc_dma=0x%llx desc_bytes=%u "
               "info=0x%016llx info_bytes=%lu cleaned=%llu\n",
               r->netdev->name, r->is_rx ? "rx" : "tx", q, r->count, r->next_to_use,
               r->next_to_clean, r->next_to_alloc, head, tail,
               static_cast<unsigned long long>(reinterpret_cast<u64>(r->rx_desc)),
               static_cast<unsigned long long>(r->dma), r->size,
               static_cast<unsigned long long>(reinterpret_cast<u64>(r->rx_buffer_info)), info,
               static_cast<unsigned long long>(r->cleaned));
}

static void show_rx_desc(seq_file *m, const igb_ring *r, u16 i)
{
    const e1000_adv_rx_desc d = r->rx_desc[i];
    const igb_rx_buffer *b = &r->rx_buffer_info[i];
    u64 posted = b->pg ? b->dma + b->page_offset : 0;
    // Until the device writes back, the second quadword is the header address that was posted: 0.
    bool done = d.wb.status_error & RXD_STAT_DD;
    seq_printf(m, "  %u addr=0x%llx status=0x%08x len=%u info_dma=0x%llx page=0x%016llx", i,
               static_cast<unsigned long long>(done ? posted : d.read.pkt_addr),
               done ? d.wb.status_error : 0, done ? d.wb.length : 0,
               static_cast<unsigned long long>(posted),
               static_cast<unsigned long long>(reinterpret_cast<u64>(b->pg)));
    if (done && b->pg) {
        const u8 *data = static_cast<u8 *>(page_address(b->pg)) + b->page_offset;
        seq_puts(m, " data=");
        for (unsigned j = 0; j < 32; j++)
            seq_printf(m, "%02x", data[j]);
    }
    seq_putc(m, '\n');
}

static void show_tx_desc(seq_file *m, const igb_ring *r, u16 i)
{
    const e1000_adv_tx_desc d = r->tx_desc[i];
    const igb_tx_buffer *b = &r->tx_buffer_info[i];
    if (!d.read.cmd_type_len && !b->dma)
        return; // never used
    seq_printf(m, "  %u addr=0x%llx status=0x%08x len=%u info_dma=0x%llx skb=%u watch=", i,
               static_cast<unsigned long long>(d.read.buffer_addr), d.wb.status,
               d.read.cmd_type_len & 0xffff, static_cast<unsigned long long>(b->dma),
               b->skb ? 1u : 0u);
    if (b->next_to_watch)
        seq_printf(m, "%u\n", static_cast<unsigned>(b->next_to_watch - r->tx_desc));
    else
        seq_puts(m, "-\n");
}

static void show_rings(seq_file *m)
{
    mutex_guard g{rtnl_mutex}; // the rings stay while we look
    for (unsigned n = 0; n < num_adapters; n++) {
        igb_adapter *a = adapters[n];
        for (unsigned i = 0; a->up && i < a->num_q_vectors; i++) {
            const igb_ring *rx = &a->q_vector[i]->rx, *tx = &a->q_vector[i]->tx;
            show_head(m, rx);
            for (u16 d = 0; d < rx->count; d++)
                show_rx_desc(m, rx, d);
            show_head(m, tx);
            for (u16 d = 0; d < tx->count; d++)
                show_tx_desc(m, tx, d);
        }
    }
}

#if SOFTNET_DEBUG
static igb_adapter *find_adapter(const char *name)
{
    for (unsigned n = 0; n < num_adapters; n++)
        if (!strcmp(adapters[n]->netdev->name, name) && adapters[n]->up)
            return adapters[n];
    return nullptr;
}

/// The common form "hook DEV N"; null when it is not that.
static igb_adapter *hook_args(int argc, char **argv, u64 *n)
{
    if (argc != 3)
        return nullptr;
    const char *end = nullptr;
    *n = strtoul(argv[2], &end, 10);
    return *end || end == argv[2] ? nullptr : find_adapter(argv[1]);
}

/// Cause every queue's interrupt and let it through.
static void kick_all(igb_adapter *a)
{
    a->hw.write(EICS, a->eims_enable_mask);
    a->hw.write(EIMS, a->eims_enable_mask);
}

static int hook_stall_poll(int argc, char **argv)
{
    u64 on;
    igb_adapter *a = hook_args(argc, argv, &on);
    if (!a || on > 1)
        return -EINVAL;
    a->stall_poll = static_cast<u32>(on);
    if (!on)
        kick_all(a);
    return 0;
}

static int hook_slow_poll(int argc, char **argv)
{
    u64 us;
    igb_adapter *a = hook_args(argc, argv, &us);
    if (!a || us > 1'000'000)
        return -EINVAL;
    a->slow_poll_us = static_cast<u32>(us);
    return 0;
}

static int hook_mask_irq(int argc, char **argv)
{
    u64 on;
    igb_adapter *a = hook_args(argc, argv, &on);
    if (!a || on > 1)
        return -EINVAL;
    if (on)
        a->hw.write(EIMC, a->eims_enable_mask);
    else
        a->hw.write(EIMS, a->eims_enable_mask);
    return 0;
}

static int hook_irq_storm(int argc, char **argv)
{
    u64 n;
    igb_adapter *a = hook_args(argc, argv, &n);
    if (!a || n > 100'000)
        return -EINVAL;
    while (n--) {
        a->hw.write(EICS, a->q_vector[0]->eims_value);
        arch_udelay(50);
    }
    return 0;
}
#endif

void igb_debug_init(igb_adapter *a)
{
    if (num_adapters == sizeof adapters / sizeof *adapters)
        return; // more NICs than the view lists
    adapters[num_adapters++] = a;
    if (num_adapters > 1)
        return;
    debugfs_create("net/rings", show_rings);
#if SOFTNET_DEBUG
    register_test_hook("stall_poll", hook_stall_poll);
    register_test_hook("slow_poll", hook_slow_poll);
    register_test_hook("mask_irq", hook_mask_irq);
    register_test_hook("irq_storm", hook_irq_storm);
#endif
}
