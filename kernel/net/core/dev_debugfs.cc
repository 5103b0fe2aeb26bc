// SPDX-License-Identifier: MIT
// /sys/kernel/debug/net/{netdev,ptype,softnet_data}: the formats are fixed in docs/debugfs.md (rows
// B-06…B-12). [P]

#include "fs/seq_file.h"
#include "irq/irq.h"
#include "lib/printk.h"
#include "net/core/dev.h"
#include "net/sched/sch_generic.h"

namespace
{
/// Plain name of a function, "-" for null.
template <class F>
const char *symbol(F *f)
{
    u64 off;
    return f ? kallsyms_lookup(reinterpret_cast<u64>(f), &off) : "-";
}

void netdev_head(seq_file *m, net_device *d)
{
    const char *driver = "-", *bus = "-";
    if (d->ethtool && d->ethtool->get_drvinfo)
        d->ethtool->get_drvinfo(d, &driver, &bus);
    const u8 *a = d->dev_addr;
    seq_printf(
        m, "%s ifindex=%u addr=%02x:%02x:%02x:%02x:%02x:%02x state=%s carrier=%d mtu=%u flags=0x%x",
        d->name, d->ifindex, a[0], a[1], a[2], a[3], a[4], a[5], d->flags & IFF_UP ? "UP" : "DOWN",
        netif_carrier_ok(d) ? 1 : 0, d->mtu, dev_get_flags(d));
    seq_printf(
        m, " netdev_ops=%s open=%s start_xmit=%s num_rx=%u num_tx=%u txqlen=%u driver=%s bus=%s\n",
        d->netdev_ops->name, symbol(d->netdev_ops->ndo_open), symbol(d->netdev_ops->ndo_start_xmit),
        d->num_rx_queues, d->num_tx_queues, d->tx_queue_len, driver, bus);
}

void netdev_lines(net_device *d, void *arg)
{
    auto *m = static_cast<seq_file *>(arg);
    netdev_head(m, d);
    unsigned i = 0;
    for (const napi_struct *n = d->napi_list; n; n = n->dev_next, i++) {
        irq_info info{};
        bool irq = n->irq && irq_get_info(n->irq, &info);
        seq_printf(m, "  napi=%u poll=%s weight=%d state=0x%x irq=%u name=%s\n", i, n->poll_name,
                   n->weight, n->state.load(), n->irq, irq && info.name ? info.name : "-");
    }
    for (i = 0; i < d->num_tx_queues; i++) {
        netdev_queue *txq = &d->tx[i];
        Qdisc *q = txq->qdisc;
        if (!q->ops->enqueue) // noqueue: no queue to describe
            continue;
        seq_printf(
            m, "  txq=%u stopped=%d qdisc=%s qlen=%u sent=%llu dropped=%u requeues=%u bytes=%llu\n",
            i, netif_tx_queue_stopped(txq) ? 1 : 0, q->ops->id, q->qlen,
            static_cast<unsigned long long>(q->packets), q->drops, q->requeues,
            static_cast<unsigned long long>(q->bytes));
    }
}

void netdev_show(seq_file *m)
{
    mutex_guard g{rtnl_mutex};
    for_each_netdev(netdev_lines, m);
}

void ptype_record(seq_file *m, const packet_type *pt, int bucket)
{
    if (bucket < 0)
        seq_puts(m, "list=all bucket=-");
    else
        seq_printf(m, "list=base bucket=%d", bucket);
    seq_printf(m, " type=0x%04x dev=%s func=%s\n", pt->type.host(), pt->dev ? pt->dev->name : "-",
               pt->func_name);
}

void ptype_show(seq_file *m)
{
    for (unsigned b = 0; b < PTYPE_HASH_SIZE; b++)
        for (const packet_type *pt = rcu_dereference(ptype_base[b]); pt;
             pt = rcu_dereference(pt->next))
            ptype_record(m, pt, static_cast<int>(b));
    for (const packet_type *pt = rcu_dereference(ptype_all); pt; pt = rcu_dereference(pt->next))
        ptype_record(m, pt, -1);
}

/// Entries of another CPU's list are not walked: only whether there are any is told.
void softnet_show(seq_file *m)
{
    for (unsigned i = 0; i < num_online_cpus(); i++) {
        softnet_data &sd = softnet_data_percpu.on(i);
        seq_printf(
            m,
            "cpu=%u input_pkt_queue=%u process_queue=%u poll_list=%u output_queue=%u "
            "completion_queue=%u "
            "backlog_poll=%s backlog_weight=%d processed=%llu dropped=%llu time_squeeze=%llu\n",
            i, read_once(sd.input_pkt_queue.qlen), read_once(sd.process_queue.qlen),
            sd.poll_list.empty() ? 0u : 1u, read_once(sd.output_queue) ? 1u : 0u,
            read_once(sd.completion_queue) ? 1u : 0u, sd.backlog.poll_name, sd.backlog.weight,
            static_cast<unsigned long long>(sd.processed),
            static_cast<unsigned long long>(sd.dropped),
            static_cast<unsigned long long>(sd.time_squeeze));
    }
}
} // namespace

void dev_debugfs_init()
{
    debugfs_create("net/netdev", netdev_show);
    debugfs_create("net/ptype", ptype_show);
    debugfs_create("net/softnet_data", softnet_show);
}
