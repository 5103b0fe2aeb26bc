/*
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * igb-lite's fuzzer: the machine, and what must hold after every input.
 *
 * An input is a program of operations (igb_lite_fuzz_ops.c): register accesses, guest memory,
 * descriptors, frames from the cable, virtual time, configuration space, resets, migration. After
 * it the device is reset, and then
 *   - its registers have the values of reset,
 *   - a frame goes out and one comes in, unharmed,
 *   - no work is left over.
 * Anything else ends the program, as do the sanitizers, and libFuzzer's own limits on time and
 * memory. That is also the state that the next input starts from: on, the link up, one ring each.
 */
#include "igb_lite_fuzz.h"

#include "../../../hw/net/igb-lite/igb_lite_regs.h"
#include "block/aio.h"
#include "exec/address-spaces.h"
#include "hw/boards.h"
#include "hw/pci/msix.h"
#include "hw/pci/pci_host.h"
#include "hw/qdev-core.h"
#include "qapi/error.h"
#include "qemu/iov.h"
#include "qemu/main-loop.h"
#include "qemu/rcu.h"
#include "qemu/timer.h"
#include "system/runstate.h"
#include "system/system.h"

int LLVMFuzzerInitialize(int *argc, char ***argv);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* system/main.c has this in an emulator. */
int (*qemu_main)(void);

Fuzz fuzz;

const char *const fuzz_faults[FUZZ_FAULTS] = {
    "fault-irq-drop",           "fault-irq-delay",  "fault-irq-repeat", "fault-write-back-delay",
    "fault-descriptor-corrupt", "fault-rx-corrupt", "fault-tx-corrupt", "fault-stall-rx",
    "fault-stall-tx",           "fault-seed",       "fault-delay-us",
};

#define VECTORS 10
#define MSIX_CONTROL 0x72
#define CONFIG_SIZE 4096
/* Bottom halves that may follow each other before an input counts as endless work. */
#define REST_LIMIT 64

static uint8_t clean_config[CONFIG_SIZE];

#define fuzz_check(condition, fmt, ...)                                                 \
    do {                                                                                \
        if (!(condition)) {                                                             \
            fprintf(stderr, "igb-lite fuzz: %s: " fmt "\n", #condition, ##__VA_ARGS__); \
            abort();                                                                    \
        }                                                                               \
    } while (0)

void fuzz_access(uint64_t addr, unsigned size, bool is_write, uint64_t val)
{
    address_space_rw(&address_space_memory, addr, MEMTXATTRS_UNSPECIFIED, &val, size, is_write);
}

uint32_t fuzz_read(uint64_t addr)
{
    return address_space_ldl_le(&address_space_memory, addr, MEMTXATTRS_UNSPECIFIED, NULL);
}

void fuzz_write(uint64_t addr, uint32_t val)
{
    address_space_stl_le(&address_space_memory, addr, val, MEMTXATTRS_UNSPECIFIED, NULL);
}

void fuzz_config_write(unsigned offset, uint32_t val, unsigned size)
{
    pci_host_config_write_common(fuzz.pci, offset, pci_config_size(fuzz.pci), val, size);
}

/* By the guest's own processor: does not count as the device's reading. */
void fuzz_ram_write(uint64_t addr, const void *data, size_t len)
{
    g_assert(addr <= RAM_SIZE && len <= RAM_SIZE - addr);
    memcpy(fuzz.ram + addr, data, len);
}

bool fuzz_run(void)
{
    return aio_poll(qemu_get_aio_context(), false);
}

void fuzz_clock_step(int64_t ns)
{
    int64_t now = qemu_clock_get_ns(QEMU_CLOCK_VIRTUAL);

    qemu_clock_advance_virtual_time(now + ns);
}

/* QEMU calls this before a device reads guest memory. */
void fuzz_dma_read_cb(size_t addr, size_t len, MemoryRegion *mr)
{
    if (fuzz.flip_every && len && addr >= WINDOW && len <= WINDOW_SIZE &&
        addr + len <= WINDOW + WINDOW_SIZE && ++fuzz.flip_count % fuzz.flip_every == 0) {
        fuzz.ram[addr + fuzz.flip_at % len] ^= fuzz.flip_mask;
    }
}

/* The cable. */
static NetClientInfo wire_info;

static ssize_t wire_receive(NetClientState *nc, const uint8_t *frame, size_t len)
{
    if (fuzz.wire_mode == WIRE_REFUSES) {
        return 0;
    }
    fuzz_check(len >= 60 && len <= 16384, "frame of %zu bytes", len);
    for (size_t i = 0; i < len; i++) { /* a sanitizer sees what was not written */
        fuzz.wire_bytes += frame[i] >= 0;
    }
    fuzz.wire_frames++;
    memcpy(fuzz.wire_last, frame, 60);
    if (fuzz.wire_mode == WIRE_ECHOES && fuzz.echo_depth < 3) { /* slirp answers at once too */
        fuzz.echo_depth++;
        qemu_send_packet(fuzz.wire, frame, len);
        fuzz.echo_depth--;
    }
    return len;
}

/* A frame in pieces, which may be in guest memory. */
static ssize_t wire_receive_iov(NetClientState *nc, const struct iovec *iov, int count)
{
    static uint8_t frame[65536];
    size_t len = iov_size(iov, count);

    fuzz_check(len <= sizeof(frame), "frame of %zu bytes", len);
    iov_to_buf(iov, count, 0, frame, len);
    return wire_receive(nc, frame, len);
}

/* Does the other end take frames in pieces? */
void fuzz_wire_pieces(bool on)
{
    wire_info.receive_iov = on ? wire_receive_iov : NULL;
}

static NetClientInfo wire_info = {
    .type = NET_CLIENT_DRIVER_SOCKET,
    .size = sizeof(NetClientState),
    .receive = wire_receive,
};

void fuzz_send(const uint8_t *frame, size_t len)
{
    qemu_send_packet(fuzz.wire, frame, len);
}

/* The device, as a driver has it. */
void fuzz_rx_ring(unsigned q, uint32_t size)
{
    uint32_t at = BAR0 + q * 0x40;

    fuzz_write(at + A_RXDCTL, 0);
    fuzz_write(at + A_RDBAL, RX_RING(q));
    fuzz_write(at + A_RDBAH, 0);
    fuzz_write(at + A_RDLEN, size * 16);
    fuzz_write(at + A_RDH, 0);
    fuzz_write(at + A_RDT, 0);
    for (unsigned i = 0; i < size && i < RING_MAX; i++) {
        uint64_t desc[2] = {cpu_to_le64(BUFFER(i + q * 7)), 0};

        fuzz_ram_write(RX_RING(q) + i * 16, desc, sizeof(desc));
    }
    fuzz_write(at + A_RXDCTL, R_RXDCTL_ENABLE_MASK);
}

void fuzz_tx_ring(unsigned q, uint32_t size)
{
    uint32_t at = BAR0 + q * 0x40;

    fuzz_write(at + A_TXDCTL, 0);
    fuzz_write(at + A_TDBAL, TX_RING(q));
    fuzz_write(at + A_TDBAH, 0);
    fuzz_write(at + A_TDLEN, size * 16);
    fuzz_write(at + A_TDH, 0);
    fuzz_write(at + A_TDT, 0);
    fuzz_write(at + A_TXDCTL, R_TXDCTL_ENABLE_MASK);
}

void fuzz_enable(void)
{
    fuzz_write(BAR0 + A_RCTL, R_RCTL_EN_MASK | R_RCTL_BAM_MASK | R_RCTL_LPE_MASK | R_RCTL_UPE_MASK |
                                  R_RCTL_SECRC_MASK);
    fuzz_write(BAR0 + A_TCTL, R_TCTL_EN_MASK);
    fuzz_write(BAR0 + A_GPIE, R_GPIE_MSIX_MODE_MASK | R_GPIE_EIAME_MASK);
    fuzz_write(BAR0 + A_IVAR, 0x83828180);
    fuzz_write(BAR0 + A_IVAR_MISC, 0x8400);
    fuzz_write(BAR0 + A_EIAC, 0x3ff);
    fuzz_write(BAR0 + A_EIMS, 0x3ff);
    fuzz_write(BAR0 + A_IMS, R_ICR_LSC_MASK | R_ICR_RXO_MASK);
}

/* Configuration space as firmware leaves it, MSI-X on. */
static void setup_config(void)
{
    fuzz_config_write(PCI_BASE_ADDRESS_0, BAR0, 4);
    fuzz_config_write(PCI_BASE_ADDRESS_0 + 12, BAR3, 4);
    fuzz_config_write(PCI_BASE_ADDRESS_0 + 16, 0, 4);
    fuzz_config_write(PCI_COMMAND, PCI_COMMAND_MEMORY | PCI_COMMAND_MASTER, 2);
    fuzz_config_write(MSIX_CONTROL, PCI_MSIX_FLAGS_ENABLE, 2);
}

static void setup_vectors(void)
{
    for (unsigned v = 0; v < VECTORS; v++) {
        fuzz_write(BAR3 + 16 * v, MESSAGES + 4 * v);
        fuzz_write(BAR3 + 16 * v + 4, 0);
        fuzz_write(BAR3 + 16 * v + 8, v + 1);
        fuzz_write(BAR3 + 16 * v + 12, 0);
    }
}

/* Until nothing is left to do. */
static void rest(void)
{
    unsigned rounds = 0;

    while (fuzz_run()) {
        fuzz_check(++rounds < REST_LIMIT, "work without end");
    }
}

/* Reset, mapped, link up, memory clear. */
static void clean(void)
{
    fuzz.flip_every = fuzz.wire_mode = 0;
    fuzz_wire_pieces(false);
    for (unsigned i = 0; i < FUZZ_FAULTS; i++) {
        object_property_set_uint(OBJECT(fuzz.pci), fuzz_faults[i], 0, &error_abort);
    }
    object_property_set_str(OBJECT(fuzz.pci), "event-log", "", &error_abort);
    if (fuzz.stopped) {
        vm_start();
        fuzz.stopped = false;
    }
    if (fuzz.nic->link_down) {
        fuzz.nic->link_down = fuzz.wire->link_down = false;
        fuzz.nic->info->link_status_changed(fuzz.nic);
    }
    qemu_purge_queued_packets(fuzz.wire);
    qemu_purge_queued_packets(fuzz.nic);
    qemu_flush_queued_packets(fuzz.wire); /* the cable takes frames again */
    if (memcmp(fuzz.pci->config, clean_config, CONFIG_SIZE)) {
        memory_region_transaction_begin();
        /* A damaged migration stream may have said "function level reset": that is done now. */
        fuzz_config_write(PCI_INTERRUPT_LINE, 0, 1);
        pci_device_reset(fuzz.pci);
        setup_config();
        memory_region_transaction_commit();
    } else {
        device_cold_reset(DEVICE(fuzz.pci));
    }
    setup_vectors();
    rest();
    fuzz_clock_step(100 * 1000 * 1000);
    rest();
    memset(fuzz.ram + WINDOW, 0, WINDOW_SIZE);
}

/* Value after reset of each register; the link is up and its interrupt pending by then. */
static void check_registers(void)
{
    static const struct {
        const char *name;
        uint32_t offset, count, step, reset;
    } table[] = {
#define REGISTER(name, offset, count, step, reset, ...) {#name, offset, count, step, reset},
        IGB_LITE_REGISTERS(REGISTER)
#undef REGISTER
    };

    for (unsigned i = 0; i < ARRAY_SIZE(table); i++) {
        for (unsigned n = 0; n < table[i].count; n++) {
            uint32_t at = table[i].offset + n * table[i].step;
            uint32_t want = table[i].reset, got = fuzz_read(BAR0 + at);

            if (at == A_RAL || at == A_RAH) { /* the MAC */
                fuzz_check(got == (at == A_RAL ? 0xaa005452 : 0x8000ccbb), "MAC %08x", got);
                continue;
            }
            want |= at == A_STATUS ? R_STATUS_LU_MASK : 0;
            want |= at == A_ICR ? R_ICR_LSC_MASK : 0;
            want |= at == A_RXDCTL ? R_RXDCTL_ENABLE_MASK : 0;
            want |= at == A_TXDCTL ? R_TXDCTL_ENABLE_MASK : 0;
            fuzz_check(got == want, "%s (0x%05x) is 0x%08x after reset", table[i].name, at, got);
        }
    }
    fuzz_write(BAR0 + A_SWSM, 0); /* the read has taken it */
}

/* One frame out, one in. */
static void check_traffic(void)
{
    uint8_t frame[64];
    uint64_t sent = fuzz.wire_frames, desc[2] = {cpu_to_le64(BUFFER(40))};
    uint64_t status;

    fuzz_enable();
    fuzz_rx_ring(0, 8);
    fuzz_write(BAR0 + A_RDT, 7);
    fuzz_tx_ring(0, 8);
    for (unsigned i = 0; i < sizeof(frame); i++) {
        frame[i] = i < 6 ? 0xff : i;
    }
    fuzz_ram_write(BUFFER(40), frame, sizeof(frame));
    desc[1] = cpu_to_le64(sizeof(frame) | R_TX_CMD_EOP_MASK | R_TX_CMD_RS_MASK |
                          R_TX_CMD_DEXT_MASK | 3u << R_TX_CMD_TYPE_SHIFT);
    fuzz_ram_write(TX_RING(0), desc, sizeof(desc));
    fuzz_write(BAR0 + A_TDT, 1);
    rest();
    fuzz_check(fuzz.wire_frames == sent + 1, "%" PRIu64 " frames", fuzz.wire_frames - sent);
    fuzz_check(!memcmp(fuzz.wire_last, frame, 60), "another frame");
    fuzz_check(ldl_le_p(fuzz.ram + TX_RING(0) + 12) & 1, "no write-back");
    fuzz_send(frame, sizeof(frame));
    rest();
    status = ldq_le_p(fuzz.ram + RX_RING(0) + 8);
    fuzz_check((status & 3) == 3 && (status >> 32 & 0xffff) == sizeof(frame),
               "receive status %016" PRIx64, status);
    fuzz_check(!memcmp(fuzz.ram + BUFFER(0), frame, sizeof(frame)), "another frame received");
    fuzz_check(ldl_le_p(fuzz.ram + MESSAGES), "no message");
}

/* The device after an input; leaves it as every input finds it. */
static void check_device(void)
{
    clean();
    check_registers();
    check_traffic();
}

static void start_machine(void)
{
    char *args[] = {
        (char *)"fuzz_igb_lite",
        (char *)"-machine",
        (char *)"q35",
        (char *)"-accel",
        (char *)"qtest",
        (char *)"-m",
        (char *)"16",
        (char *)"-nodefaults",
        (char *)"-display",
        (char *)"none",
        (char *)"-device",
        (char *)"igb-lite,id=nic,addr=4,mac=52:54:00:aa:bb:cc,autoneg-ms=5",
    };
    PCIDevice *host;

    qemu_init(ARRAY_SIZE(args), args);
    signal(SIGINT, SIG_DFL);
    signal(SIGTERM, SIG_DFL);
    fuzz.pci = PCI_DEVICE(object_resolve_path("/machine/peripheral/nic", NULL));
    qemu_find_net_clients_except("nic", &fuzz.nic, NET_CLIENT_DRIVER__MAX, 1);
    fuzz.wire = qemu_new_net_client(&wire_info, fuzz.nic, "wire", "wire");
    fuzz.ram = memory_region_get_ram_ptr(current_machine->ram);
    /* Configuration space in memory, as firmware switches it on: DMA can be aimed at it. */
    host = pci_find_device(pci_get_bus(fuzz.pci), 0, 0);
    pci_host_config_write_common(host, 0x64, PCI_CONFIG_SPACE_SIZE, 0, 4);
    pci_host_config_write_common(host, 0x60, PCI_CONFIG_SPACE_SIZE, ECAM | 1, 4);
    pci_device_reset(fuzz.pci);
    setup_config();
    memcpy(clean_config, fuzz.pci->config, CONFIG_SIZE);
    fuzz_check(fuzz_read(ECAM | DEVFN << 12) == 0x10c98086, "ECAM");
}

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
    start_machine();
    return 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static unsigned runs;
    Input in = {.at = data, .end = data + size};

    if (!runs) {
        check_device();
    }
    fuzz_input(&in);
    check_device();
    if (++runs % 64 == 0) { /* what RCU has to free; this thread never lets go of the lock else */
        drain_call_rcu();
    }
    return 0;
}
