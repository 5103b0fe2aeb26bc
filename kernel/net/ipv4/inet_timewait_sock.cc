// SPDX-License-Identifier: MIT
// TIME_WAIT's small stand-ins for sockets and the row in which they wait for their end (Linux net/ipv4/inet_timewait_sock.c; atlas
// §18, §19; rows G-07, Y-05, Y-06). One reference each for ehash, the port and the death row; the object goes a grace period after
// the last one. Lock order: bhash, ehash; the death row's lock is taken alone.
//
// The row has 8 slots of 7.5 s for TIME_WAIT's 60 s, which therefore lasts 52.5 to 60 s, and 32 slots of 128 ms for what is
// shorter than 4 s.

#include "mm/static_object.h"
#include "net/ipv4/tcp.h"

std::atomic<int> tcp_tw_count;

static kmem_cache *tw_cachep;

constexpr u32 TWKILL_SLOTS = 8, TWKILL_PERIOD = TCP_TIMEWAIT_LEN / TWKILL_SLOTS, TWKILL_QUOTA = 100;
constexpr u32 RECYCLE_SLOTS = 32, RECYCLE_TICK_LOG = 7;

static void tw_hangman(timer_list *);
static void tw_calendar_tick(timer_list *);

/// All waiting stand-ins by the time of their end. death_lock protects it, BH off.
struct inet_timewait_death_row {
    spinlock death_lock{"tcp_death_row"};
    u32 count = 0; // in both rows
    u32 slot = 0;  // of cells, next to end
    inet_timewait_sock *cells[TWKILL_SLOTS] = {};
    timer_list tw_timer{tw_hangman};
    s32 hand = -1;     // of `row`, next to end; -1: empty
    u64 hand_time = 0; // when it ends, jiffies
    inet_timewait_sock *row[RECYCLE_SLOTS] = {};
    timer_list calendar_timer{tw_calendar_tick};
};
static static_object<inet_timewait_death_row> tcp_death_row;

void inet_timewait_init()
{
    tcp_death_row.init();
    tw_cachep = kmem_cache_create("tw_sock_TCP", sizeof(inet_timewait_sock), 64);
}

// --- The object -------------------------------------------------------------------------------------

inet_timewait_sock *inet_twsk_alloc(sock *sk, u8 substate)
{
    if (tcp_tw_count.fetch_add(1) >= read_once(sysctl_tcp_max_tw_buckets)) {
        tcp_tw_count.fetch_sub(1);
        return nullptr;
    }
    auto *tw = kmem_cache_new<inet_timewait_sock>(tw_cachep, GFP_ATOMIC);
    if (!tw) {
        tcp_tw_count.fetch_sub(1);
        return nullptr;
    }
    const inet_sock *inet = inet_sk(sk);
    tw->tw_daddr = inet->inet_daddr;
    tw->tw_rcv_saddr = inet->inet_rcv_saddr;
    tw->tw_dport = inet->inet_dport;
    tw->tw_sport = inet->inet_sport;
    tw->tw_num = inet->inet_num;
    tw->tw_bound_dev_if = sk->sk_bound_dev_if;
    tw->tw_tos = inet->tos & static_cast<u8>(~3); // only data may be marked (ECN)
    tw->tw_substate = substate;
    tw->tw_reuse = sk->sk_reuse;
    tw->tw_reuseport = sk->sk_reuseport;
    tw->tw_hash = sk->sk_hash;
    tw->tw_mark = sk->sk_mark;
    return tw;
}

static void tw_free_rcu(rcu_head *head)
{
    kmem_cache_delete(tw_cachep, container_of(head, inet_timewait_sock, rcu));
}

void inet_twsk_put(inet_timewait_sock *tw)
{
    if (!tw->tw_refcnt.put())
        return;
    tcp_tw_count.fetch_sub(1);
    call_rcu(&tw->rcu, tw_free_rcu);
}

bool inet_twsk_unhash(inet_timewait_sock *tw)
{
    if (!tw->tw_nulls_node.hashed())
        return false;
    hlist_nulls_del_rcu(&tw->tw_nulls_node);
    return true;
}

bool inet_twsk_bind_unhash(inet_timewait_sock *tw)
{
    inet_bind_bucket *tb = tw->tw_tb;
    if (!tb)
        return false;
    *tw->tw_bind_pprev = tw->tw_bind_next;
    if (tw->tw_bind_next)
        tw->tw_bind_next->tw_bind_pprev = tw->tw_bind_pprev;
    tw->tw_bind_next = nullptr;
    tw->tw_bind_pprev = nullptr;
    tw->tw_tb = nullptr;
    inet_bind_bucket_destroy(tb);
    return true;
}

void __inet_twsk_hashdance(inet_timewait_sock *tw, sock *sk)
{
    inet_connection_sock *icsk = inet_csk(sk);
    {
        spin_guard<plain> g{inet_bhash_of(icsk->inet_num)->lock};
        if (inet_bind_bucket *tb = icsk->icsk_bind_hash) {
            tw->tw_refcnt.get();
            tw->tw_tb = tb;
            tw->tw_bind_next = tb->tw_owners;
            tw->tw_bind_pprev = &tb->tw_owners;
            if (tb->tw_owners)
                tb->tw_owners->tw_bind_pprev = &tw->tw_bind_next;
            tb->tw_owners = tw;
        }
    }
    spin_guard<plain> g{inet_ehash_lockp(sk->sk_hash)};
    tw->tw_refcnt.get();
    // In before the sock goes out: readers look at the sockets first, and must not find neither.
    hlist_nulls_add_head_rcu(&tw->tw_nulls_node, &inet_ehash_bucket_of(sk->sk_hash)->twchain);
    if (sk->sk_nulls_node.hashed()) {
        hlist_nulls_del_rcu(&sk->sk_nulls_node);
        sk->sk_prot->inuse.fetch_sub(1, std::memory_order_relaxed);
    }
}

/// Out of all tables; the caller's reference (the row's) remains. BH off, death_lock not held.
static void inet_twsk_kill(inet_timewait_sock *tw)
{
    int refs = 0;
    {
        spin_guard<plain> g{inet_ehash_lockp(tw->tw_hash)};
        refs += inet_twsk_unhash(tw);
    }
    {
        spin_guard<plain> g{inet_bhash_of(tw->tw_num)->lock};
        refs += inet_twsk_bind_unhash(tw);
    }
    while (refs--)
        inet_twsk_put(tw);
}

// --- The death row ----------------------------------------------------------------------------------

static void row_add(inet_timewait_sock **cell, inet_timewait_sock *tw)
{
    tw->tw_death_next = *cell;
    tw->tw_death_pprev = cell;
    if (*cell)
        (*cell)->tw_death_pprev = &tw->tw_death_next;
    *cell = tw;
}

/// False: it was in no slot. death_lock held.
static bool row_del(inet_timewait_sock *tw)
{
    if (!tw->tw_death_pprev)
        return false;
    *tw->tw_death_pprev = tw->tw_death_next;
    if (tw->tw_death_next)
        tw->tw_death_next->tw_death_pprev = tw->tw_death_pprev;
    tw->tw_death_next = nullptr;
    tw->tw_death_pprev = nullptr;
    return true;
}

void inet_twsk_deschedule(inet_timewait_sock *tw)
{
    inet_timewait_death_row &r = *tcp_death_row;
    bool was;
    {
        spin_guard<plain> g{r.death_lock};
        was = row_del(tw);
        if (was && --r.count == 0)
            del_timer(&r.tw_timer);
    }
    if (!was)
        return; // ended this instant on another CPU
    inet_twsk_kill(tw);
    inet_twsk_put(tw);
}

/// The cell for a short wait of `slot` ticks of 128 ms; runs the fine timer. death_lock held.
static inet_timewait_sock **short_cell(inet_timewait_death_row &r, u32 slot)
{
    u64 at = jiffies() + (slot << RECYCLE_TICK_LOG);
    if (r.hand < 0) {
        r.hand = 0;
        r.hand_time = jiffies();
        mod_timer(&r.calendar_timer, at);
    } else {
        if (time_after(r.calendar_timer.expires, at))
            mod_timer(&r.calendar_timer, at);
        slot = (static_cast<u32>(r.hand) + slot) & (RECYCLE_SLOTS - 1);
    }
    return &r.row[slot];
}

void inet_twsk_schedule(inet_timewait_sock *tw, u32 timeo)
{
    inet_timewait_death_row &r = *tcp_death_row;
    spin_guard<plain> g{r.death_lock};
    if (row_del(tw))
        r.count--;
    else
        tw->tw_refcnt.get();
    u32 slot = (timeo + (1 << RECYCLE_TICK_LOG) - 1) >> RECYCLE_TICK_LOG;
    if (slot >= RECYCLE_SLOTS) {
        slot = timeo >= TCP_TIMEWAIT_LEN
                   ? TWKILL_SLOTS - 1
                   : min((timeo + TWKILL_PERIOD - 1) / TWKILL_PERIOD, TWKILL_SLOTS - 1);
        tw->tw_ttd = jiffies() + timeo;
        row_add(&r.cells[(r.slot + slot) % TWKILL_SLOTS], tw);
    } else {
        tw->tw_ttd = jiffies() + (slot << RECYCLE_TICK_LOG);
        row_add(short_cell(r, slot), tw);
    }
    if (r.count++ == 0)
        mod_timer(&r.tw_timer, jiffies() + TWKILL_PERIOD);
}

/// End what is in a cell, at most `quota` of them; how many. death_lock held, let go meanwhile.
static u32 kill_cell(inet_timewait_death_row &r, inet_timewait_sock **cell,
                     u32 quota) NO_THREAD_SAFETY_ANALYSIS
{
    u32 n = 0;
    while (inet_timewait_sock *tw = *cell) {
        if (n == quota)
            break;
        row_del(tw);
        r.count--;
        n++;
        r.death_lock.unlock();
        inet_twsk_kill(tw);
        inet_twsk_put(tw);
        r.death_lock.lock();
    }
    return n;
}

/// Every 7.5 s: the next of the eight slots. A crowded one is worked off in portions, a tick apart. [T]
static void tw_hangman(timer_list *)
{
    inet_timewait_death_row &r = *tcp_death_row;
    spin_guard<plain> g{r.death_lock};
    if (!r.count)
        return;
    u32 n = kill_cell(r, &r.cells[r.slot], TWKILL_QUOTA);
    NET_ADD_STATS(LINUX_MIB_TW, n);
    if (r.cells[r.slot]) {
        mod_timer(&r.tw_timer, jiffies() + 1);
        return;
    }
    r.slot = (r.slot + 1) % TWKILL_SLOTS;
    if (r.count)
        mod_timer(&r.tw_timer, jiffies() + TWKILL_PERIOD);
}

/// The fine row: all slots whose time has come. [T]
static void tw_calendar_tick(timer_list *)
{
    inet_timewait_death_row &r = *tcp_death_row;
    spin_guard<plain> g{r.death_lock};
    if (r.hand < 0)
        return;
    u64 now = jiffies(), at = r.hand_time;
    u32 slot = static_cast<u32>(r.hand);
    bool future = false;
    for (u32 i = 0; i < RECYCLE_SLOTS; i++) {
        if (time_after_eq(now, at)) {
            NET_ADD_STATS(LINUX_MIB_TWKilled, kill_cell(r, &r.row[slot], ~0u));
        } else {
            if (!future) {
                future = true;
                r.hand = static_cast<s32>(slot);
                r.hand_time = at;
            }
            if (r.row[slot]) {
                mod_timer(&r.calendar_timer, at);
                return;
            }
        }
        at += 1 << RECYCLE_TICK_LOG;
        slot = (slot + 1) & (RECYCLE_SLOTS - 1);
    }
    r.hand = -1;
    if (!r.count)
        del_timer(&r.tw_timer);
}
