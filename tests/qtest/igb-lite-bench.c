/*
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * What a packet costs in the device alone: igb-lite and QEMU's stock igb, side by side. Each is in
 * a machine without a CPU (qtest), on a hub with no other port, which throws every frame away. All
 * packets of a ring are handed over by one write of the tail, and what is measured is the CPU time
 * of the QEMU process from before that write until the head has arrived, less what the same
 * accesses cost when the tail does not move. So neither the qtest protocol nor another load of the
 * machine is counted. Repetitions of the two devices alternate.
 *
 * Guest memory is a memfd that this program maps too, so rings are filled without the protocol.
 * Started by scripts/bench nic; prints one line a case and device: "DEVICE<tab>CASE<tab>NS NS …",
 * nanoseconds per packet of each repetition.
 */
#include "igb-lite.h"

#include "libqos/pci-pc.h"
#include <sys/mman.h>
#include <time.h>

#define MEMORY (128 * 1024 * 1024)
#define RING 4096
#define RX_QUEUES 4
#define FLOWS 64      /* different packets, in turn; their buffers stay in the cache */
#define BUFFER 0x4000 /* TX_BUF and RX_BUF are so far apart */
#define PATIENCE 4000 /* naps */
#define NAP_US 500

#define DATA (R_TX_CMD_DEXT_MASK | IGB_LITE_TX_DATA << R_TX_CMD_TYPE_SHIFT)
#define LAST \
    (R_TX_CMD_EOP_MASK | R_TX_CMD_RS_MASK) /* as Linux's driver has it: RS on every packet */

/* Sizes of a packet as Linux hands it over: Ethernet, IPv4 and TCP with timestamps. */
#define L2 14
#define L3 20
#define L4 32
#define MSS 1448
#define TSO_SEGMENTS 44
#define TSO_PAYLOAD (MSS * TSO_SEGMENTS)
#define TSO_FRAGMENT 0x8000 /* igb puts at most so much into a descriptor */

typedef struct Device {
    const char *name;
    Nic nic;
    int memory; /* memfd */
    uint8_t *ram;
    clockid_t clock; /* CPU time of the process */
} Device;

typedef struct Case {
    const char *name;
    /* Writes one packet's descriptors at index; returns how many. */
    unsigned (*post)(Device *d, unsigned index, unsigned number);
    unsigned descs;  /* of one packet */
    unsigned frames; /* that one packet becomes */
    bool loopback;
    bool rss;
} Case;

static uint64_t cpu_ns(Device *d)
{
    struct timespec t;

    g_assert_cmpint(clock_gettime(d->clock, &t), ==, 0);
    return t.tv_sec * 1000000000ull + t.tv_nsec;
}

static void put_desc(Device *d, unsigned index, uint64_t addr, uint32_t cmd, uint32_t olinfo)
{
    uint8_t *slot = d->ram + TX_RING(0) + index % RING * 16;

    stq_le_p(slot, addr);
    stl_le_p(slot + 8, cmd);
    stl_le_p(slot + 12, olinfo);
}

static void put_context(Device *d, unsigned index, uint32_t mss_l4len)
{
    put_desc(d, index, L2 << R_TX_CTX_LO_MACLEN_SHIFT | L3,
             R_TX_CMD_DEXT_MASK | IGB_LITE_TX_CONTEXT << R_TX_CMD_TYPE_SHIFT |
                 R_TX_CTX_CMD_IPV4_MASK | IGB_LITE_L4_TCP << R_TX_CTX_CMD_L4T_SHIFT,
             mss_l4len);
}

static unsigned post_small(Device *d, unsigned index, unsigned number)
{
    put_desc(d, index, TX_BUF(number % FLOWS), 64 | DATA | LAST, 64 << R_TX_OL_PAYLEN_SHIFT);
    return 1;
}

static unsigned post_checksum(Device *d, unsigned index, unsigned number)
{
    put_context(d, index, 0);
    put_desc(d, index + 1, TX_BUF(number % FLOWS), 1514 | DATA | LAST,
             1514 << R_TX_OL_PAYLEN_SHIFT | R_TX_OL_IXSM_MASK | R_TX_OL_TXSM_MASK);
    return 2;
}

/* 44 segments in a header's and two pages' descriptors, which is how Linux sends what TCP has. */
static unsigned post_tso(Device *d, unsigned index, unsigned number)
{
    uint32_t cmd = DATA | R_TX_CMD_TSE_MASK;
    uint64_t payload = TX_BUF(FLOWS); /* all packets share it */

    put_context(d, index, L4 << R_TX_CTX_OL_L4LEN_SHIFT | MSS << R_TX_CTX_OL_MSS_SHIFT);
    put_desc(d, index + 1, TX_BUF(number % FLOWS), (L2 + L3 + L4) | cmd,
             (uint32_t)TSO_PAYLOAD << R_TX_OL_PAYLEN_SHIFT | R_TX_OL_IXSM_MASK | R_TX_OL_TXSM_MASK);
    put_desc(d, index + 2, payload, TSO_FRAGMENT | cmd, 0);
    put_desc(d, index + 3, payload + TSO_FRAGMENT, (TSO_PAYLOAD - TSO_FRAGMENT) | cmd | LAST, 0);
    return 4;
}

static const Case cases[] = {
    {"TX 64 B", post_small, 1, 1},
    {"TX 1500 B, IP and TCP checksum", post_checksum, 2, 1},
    {"TSO 64 KB, 44 segments", post_tso, 4, TSO_SEGMENTS},
    {"TX and RX 64 B, loopback", post_small, 1, 1, .loopback = true},
    {"TX and RX 64 B, loopback, RSS to 4 queues", post_small, 1, 1, .loopback = true, .rss = true},
    {"TX and RX 1500 B with checksum, loopback, RSS", post_checksum, 2, 1, .loopback = true,
     .rss = true},
};

/* A TCP segment of flow i to the NIC itself: all that the offloads need filled in. */
static void write_packet(Device *d, unsigned i)
{
    static const uint8_t mac[6] = {NIC_MAC};
    uint8_t *p = d->ram + TX_BUF(i), *ip = p + L2, *tcp = ip + L3;

    make_frame(p, 1514, i);
    make_eth(p, mac, 0x0800);
    memset(ip, 0, L3 + L4);
    ip[0] = 0x45;
    stw_be_p(ip + 2, 64 - L2);
    ip[8] = 64;
    ip[9] = IPPROTO_TCP;
    stl_be_p(ip + 12, 0x0a000001 + i);
    stl_be_p(ip + 16, 0x0a000064);
    stw_be_p(tcp, 30000 + 7 * i);
    stw_be_p(tcp + 2, 5201);
    tcp[12] = L4 / 4 << 4;
    tcp[13] = 0x18;
}

static void set_rss(Device *d, bool on)
{
    Nic *n = &d->nic;

    for (unsigned i = 0; i < 10; i++) {
        w32(n, A_RSSRK + 4 * i, 0x6d5a56da + 0x01030507 * i);
    }
    for (unsigned i = 0; i < 32; i++) {
        w32(n, A_RETA + 4 * i, on ? 0x03020100 : 0);
    }
    w32(n, A_MRQC,
        on ? 2 | R_MRQC_TCP_IPV4_MASK | R_MRQC_IPV4_MASK | R_MRQC_TCP_IPV6_MASK | R_MRQC_IPV6_MASK
           : 0);
    w32(n, A_RXCSUM, R_RXCSUM_IPOFLD_MASK | R_RXCSUM_TUOFLD_MASK | (on ? R_RXCSUM_PCSD_MASK : 0));
}

/* Every RX queue has all its descriptors; all rings start at 0. */
static void fill_rings(Device *d, const Case *c)
{
    Nic *n = &d->nic;

    tx_ring(n, 0, RING);
    if (!c->loopback) {
        return;
    }
    for (unsigned q = 0; q < RX_QUEUES; q++) {
        rx_ring(n, q, RING);
        for (unsigned i = 0; i < RING; i++) {
            uint8_t *slot = d->ram + RX_RING(q) + i * 16;

            stq_le_p(slot, RX_BUF(i % FLOWS));
            stq_le_p(slot + 8, 0);
        }
        w32(n, A_RDT + 0x40 * q, RING - 1);
    }
}

/* CPU time from a write of the tail until the head is there, and how many naps that took. */
static uint64_t doorbell(Device *d, unsigned tail, unsigned *naps)
{
    Nic *n = &d->nic;
    uint64_t begin = cpu_ns(d);
    unsigned wanted = *naps;

    w32(n, A_TDT, tail);
    for (*naps = 0; *naps < wanted || r32(n, A_TDH) != tail; ++*naps) {
        g_assert_cmpuint(*naps, <, PATIENCE);
        g_usleep(NAP_US);
    }
    return cpu_ns(d) - begin;
}

/* Nothing was lost on the way. */
static void check_arrived(Device *d, const Case *c, unsigned packets)
{
    unsigned received = 0, sent = r32(&d->nic, A_TPT);

    if (sent != packets) { /* stock igb counts a packet that it cuts once */
        g_assert_cmpuint(sent, ==, packets * c->frames);
    }
    if (c->loopback) {
        for (unsigned q = 0; q < RX_QUEUES; q++) {
            unsigned head = r32(&d->nic, A_RDH + 0x40 * q);

            g_assert(!c->rss || head);
            received += head;
        }
        g_assert_cmpuint(received, ==, packets);
    }
}

/* One repetition: nanoseconds per packet. */
static double repeat(Device *d, const Case *c)
{
    unsigned packets = (RING - 1) / c->descs, index = 0, naps = 0, same;
    uint64_t busy, idle;

    fill_rings(d, c);
    for (unsigned i = 0; i < packets; i++) {
        index += c->post(d, index, i);
    }
    r32(&d->nic, A_TPT);
    busy = doorbell(d, index, &naps);
    same = naps;
    check_arrived(d, c, packets);
    idle = doorbell(d, index, &same);
    return (double)(busy - MIN(busy, idle)) / packets;
}

static void start(Device *d)
{
    Nic *n = &d->nic;

    d->memory = memfd_create("bench", 0); /* QEMU inherits it */
    g_assert_cmpint(d->memory, >=, 0);
    g_assert_cmpint(ftruncate(d->memory, MEMORY), ==, 0);
    d->ram = mmap(NULL, MEMORY, PROT_READ | PROT_WRITE, MAP_SHARED, d->memory, 0);
    g_assert(d->ram != MAP_FAILED);
    n->qts = qtest_initf("-M q35,memory-backend=ram -nodefaults -m 128 -object memory-backend-file,"
                         "id=ram,size=128M,share=on,mem-path=/proc/self/fd/%d "
                         "-netdev hubport,hubid=0,id=net0 "
                         "-device %s,id=nic,netdev=net0,addr=4,mac=52:54:00:aa:bb:cc",
                         d->memory, d->name);
    n->bus = qpci_new_pc(n->qts, NULL);
    n->dev = qpci_device_find(n->bus, QPCI_DEVFN(4, 0));
    g_assert_nonnull(n->dev);
    n->bar = qpci_iomap(n->dev, 0, NULL).addr;
    qpci_device_enable(n->dev);
    g_assert_cmpint(clock_getcpuclockid(qtest_pid(n->qts), &d->clock), ==, 0);
    w32(n, A_CTRL, r32(n, A_CTRL) | 1 << 6); /* SLU, which stock igb wants */
    phy_write(n, 0, 0x1340);                 /* negotiate */
    qtest_clock_step(n->qts, 1000 * 1000 * 1000);
    wait_reg(n, A_STATUS, R_STATUS_LU_MASK, R_STATUS_LU_MASK);
    w32(n, A_TCTL, r32(n, A_TCTL) | R_TCTL_EN_MASK);
    w32(n, A_GPIE, R_GPIE_MSIX_MODE_MASK);
    for (unsigned i = 0; i < FLOWS; i++) {
        write_packet(d, i);
    }
}

static void prepare(Device *d, const Case *c)
{
    uint32_t rctl = R_RCTL_EN_MASK | R_RCTL_BAM_MASK | R_RCTL_SECRC_MASK;

    set_rss(d, c->rss);
    /* 64 B cases with the lengths of a 64 B packet, and so on: the receiver checks them. */
    for (unsigned i = 0; i < FLOWS; i++) {
        uint8_t *ip = d->ram + TX_BUF(i) + L2;

        stw_be_p(ip + 2, (c->post == post_checksum ? 1514 : 64) - L2);
        stw_be_p(ip + 10, 0);
        if (c->post == post_small) {
            stw_be_p(ip + 10, ~ones_sum(ip, L3, 0));
        }
    }
    w32(&d->nic, A_RCTL, rctl | (c->loopback ? 1 << R_RCTL_LBM_SHIFT : 0));
}

static void stop(Device *d)
{
    g_free(d->nic.dev);
    qpci_free_pc(d->nic.bus);
    qtest_quit(d->nic.qts);
    munmap(d->ram, MEMORY);
    close(d->memory);
}

int main(int argc, char **argv)
{
    Device devices[] = {{"igb-lite"}, {"igb"}};
    unsigned repetitions = argc > 1 ? atoi(argv[1]) : 15;

    g_assert_cmpuint(repetitions, >, 0);
    for (unsigned i = 0; i < G_N_ELEMENTS(devices); i++) {
        start(&devices[i]);
    }
    for (unsigned k = 0; k < G_N_ELEMENTS(cases); k++) {
        GString *lines[G_N_ELEMENTS(devices)];

        for (unsigned i = 0; i < G_N_ELEMENTS(devices); i++) {
            lines[i] = g_string_new(NULL);
            prepare(&devices[i], &cases[k]);
            repeat(&devices[i], &cases[k]); /* warm up */
        }
        for (unsigned r = 0; r < repetitions; r++) {
            for (unsigned i = 0; i < G_N_ELEMENTS(devices); i++) {
                g_string_append_printf(lines[i], " %.1f", repeat(&devices[i], &cases[k]));
            }
        }
        for (unsigned i = 0; i < G_N_ELEMENTS(devices); i++) {
            printf("%s\t%s\t%s\n", devices[i].name, cases[k].name, lines[i]->str + 1);
            g_string_free(lines[i], true);
        }
        fflush(stdout);
    }
    for (unsigned i = 0; i < G_N_ELEMENTS(devices); i++) {
        stop(&devices[i]);
    }
    return 0;
}
