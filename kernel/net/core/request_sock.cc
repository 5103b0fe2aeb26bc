// SPDX-License-Identifier: MIT
// Queues of a listener: SYN table and accept queue (Linux net/core/request_sock.c; atlas §13; rows N-04…N-07). The listener's socket
// lock protects them.

#include "net/core/request_sock.h"
#include "lib/random.h"
#include "mm/vmalloc.h"

u32 reqsk_table_entries(u32 backlog, u32 max_syn_backlog)
{
    u32 n = max(min(backlog, max_syn_backlog), 8u) + 1;
    u32 power = 1;
    while (power < n)
        power <<= 1;
    return power;
}

static size_t listen_sock_bytes(u32 entries)
{
    return sizeof(listen_sock) + entries * sizeof(request_sock *);
}

static void listen_sock_free(listen_sock *lopt)
{
    if (listen_sock_bytes(lopt->nr_table_entries) > PAGE_SIZE)
        vfree(lopt);
    else
        kfree(lopt);
}

result<void> reqsk_queue_alloc(request_sock_queue *queue, u32 entries)
{
    size_t bytes = listen_sock_bytes(entries);
    void *mem = bytes > PAGE_SIZE ? vzalloc(bytes) : kzalloc(bytes, GFP_KERNEL);
    if (!mem)
        return error{ENOMEM};
    auto *lopt = static_cast<listen_sock *>(mem);
    lopt->nr_table_entries = entries;
    while ((u32{1} << lopt->max_qlen_log) < entries)
        lopt->max_qlen_log++;
    get_random_bytes(&lopt->hash_rnd, sizeof lopt->hash_rnd);
    queue->rskq_accept_head = queue->rskq_accept_tail = nullptr;
    spin_guard<bh> g{queue->syn_wait_lock};
    queue->listen_opt = lopt;
    return {};
}

void reqsk_queue_destroy(request_sock_queue *queue)
{
    listen_sock *lopt;
    {
        spin_guard<bh> g{queue->syn_wait_lock};
        lopt = queue->listen_opt;
        queue->listen_opt = nullptr;
    }
    if (!lopt)
        return;
    for (u32 i = 0; lopt->qlen && i < lopt->nr_table_entries; i++) {
        while (request_sock *req = lopt->syn_table[i]) {
            lopt->syn_table[i] = req->dl_next;
            lopt->qlen--;
            reqsk_free(req);
        }
    }
    BUG_ON(lopt->qlen);
    listen_sock_free(lopt);
}

void *reqsk_alloc_mem(request_sock_ops *ops)
{
    return kmem_cache_alloc(ops->slab, GFP_ATOMIC);
}

void reqsk_free(request_sock *req)
{
    request_sock_ops *ops = req->rsk_ops;
    ops->destruct(req);
    kmem_cache_free(ops->slab, req);
}
