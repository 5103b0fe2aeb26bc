// SPDX-License-Identifier: MIT
// Tracing: the text form that docs/debugfs.md fixes, switching events on and off, overwriting.
#include "lib/errno.h"
#include "sched/sched.h"
#include "trace/trace.h"
#include "trace/trace_text.h"
#include "unit.h"

static char text[1 << 20];
static size_t used;

static bool collect(void *, const char *s, size_t n)
{
    if (used + n >= sizeof(text))
        return false;
    memcpy(text + used, s, n);
    used += n;
    text[used] = 0;
    return true;
}

static const char *print()
{
    used = 0;
    text[0] = 0;
    trace_print(collect, nullptr);
    return text;
}

static void off_by_default(void *)
{
    trace(trace_event::net_tx_action, 0);
    HOST_EXPECT(!trace_is_on() && !*print());
}

static void formats(void *)
{
    trace_set_on(true);
    trace_reset();
    irq_guard g; // nothing else records meanwhile
    be32 a = htonl(0x0a090001), b = htonl(0x0a090002);
    trace(trace_event::udp_rcv, 117u, 26u, a.raw, b.raw, 40000u, 7u);
    trace(trace_event::softirq_raise, 3u, 8u);
    trace(trace_event::netif_receive_skb, 1u, "eth0", 0x800u, 46u);
    trace(trace_event::neigh_update, a.raw, 1u, 2u, "eth0");
    trace(trace_event::sock_def_readable, static_cast<void *>(nullptr), 0u);
    trace(trace_event::net_dev_xmit, 1u, "lo", -1, 60u);
    trace(trace_event::kmem_cache_alloc, "UDP", static_cast<void *>(text)); // off unless asked for
    trace_set_on(false);
    const char *t = print();
    HOST_EXPECT(
        strstr(t, ": udp_rcv: skb=117 len=26 saddr=10.9.0.1 daddr=10.9.0.2 sport=40000 dport=7\n"));
    HOST_EXPECT(strstr(t, ": softirq_raise: vec=3 pending=0x8\n"));
    HOST_EXPECT(strstr(t, ": netif_receive_skb: skb=1 dev=eth0 proto=0x0800 len=46\n"));
    HOST_EXPECT(strstr(t, ": neigh_update: ip=10.9.0.1 old=0x01 new=0x02 dev=eth0\n"));
    HOST_EXPECT(strstr(t, ": sock_def_readable: sk=- waiters=0\n"));
    HOST_EXPECT(strstr(t, ": net_dev_xmit: skb=1 dev=lo rc=-1 len=60\n"));
    HOST_EXPECT(!strstr(t, "kmem_cache_alloc"));
    char head[40];
    snprintf(head, sizeof(head), "test-%d [%03u] process ", current()->pid, smp_processor_id());
    HOST_EXPECT(!strncmp(t, head, strlen(head)));
}

static void contexts_and_switches(void *)
{
    trace_reset();
    trace_set_on(true);
    set_current_state(TASK_UNINTERRUPTIBLE);
    schedule_timeout(3);
    trace_set_on(false);
    const char *t = print();
    char line[80];
    snprintf(line, sizeof(line), "sched_sleep: pid=%d state=0x2 wchan=", current()->pid);
    HOST_EXPECT(strstr(t, line));
    HOST_EXPECT(strstr(t, " hardirq ") && strstr(t, " softirq "));
    HOST_EXPECT(strstr(t, "timer_expire: func="));
    snprintf(line, sizeof(line), "sched_wakeup: pid=%d comm=test cpu=", current()->pid);
    HOST_EXPECT(strstr(t, line));
    snprintf(line, sizeof(line), "next_pid=%d next_comm=test\n", current()->pid);
    HOST_EXPECT(strstr(t, line));
}

static void choosing_events(void *)
{
    HOST_EXPECT(trace_set_events("no_such_event", 13) == -EINVAL);
    HOST_EXPECT(trace_set_events("", 0) == 0);
    used = 0;
    trace_print_set_events(collect, nullptr);
    HOST_EXPECT(used == 0);
    HOST_EXPECT(trace_set_events("udp_* net_tx_action\n", 20) == 0);
    HOST_EXPECT(trace_set_events("!udp_lookup", 11) == 0);
    used = 0;
    trace_print_set_events(collect, nullptr);
    HOST_EXPECT(strstr(text, "udp_rcv\n") && strstr(text, "net_tx_action\n"));
    HOST_EXPECT(!strstr(text, "udp_lookup") && !strstr(text, "ip_rcv"));
    trace_set_on(true);
    HOST_EXPECT(trace_enabled(trace_event::udp_rcv) && !trace_enabled(trace_event::ip_rcv));
    trace_set_on(false);
    HOST_EXPECT(trace_set_events("*", 1) == 0);
}

static void ring_overwrites_the_oldest(void *)
{
    HOST_EXPECT(trace_resize(1) == 0);
    u32 size = trace_ring_bytes();
    trace_set_on(true);
    {
        irq_guard g;
        for (unsigned i = 0; i < 5000; i++)
            trace(trace_event::net_tx_action, i);
    }
    trace_set_on(false);
    HOST_EXPECT(size / 4096 < 200);
    const char *t = print();
    HOST_EXPECT(!strstr(t, "net_tx_action: cpu=903\n") && strstr(t, "net_tx_action: cpu=4999\n"));
    used = 0;
    trace_print_stats(collect, nullptr);
    HOST_EXPECT(strstr(text, "entries=4096 overwritten="));
}

extern "C" int main()
{
    unit_main("trace",
              {KERNEL_UNIT(off_by_default), KERNEL_UNIT(formats),
               KERNEL_UNIT(contexts_and_switches), KERNEL_UNIT(choosing_events),
               KERNEL_UNIT(ring_overwrites_the_oldest)},
              2);
}
