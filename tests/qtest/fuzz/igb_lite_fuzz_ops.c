/*
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * igb-lite's fuzzer: the operations that an input is made of. Each is one byte that names it and a
 * fixed number of bytes that it takes (but for frames and memory, which say how many), so that a
 * change in one leaves the others what they were. Unknown names do nothing. tests/fuzz/igb_lite_seeds.py
 * writes the same format.
 */
#include "igb_lite_fuzz.h"

#include "../../../hw/net/igb-lite/igb_lite_regs.h"
#include "../../../migration/qemu-file.h"
#include "io/channel-buffer.h"
#include "migration/vmstate.h"
#include "net/net.h"
#include "qapi/error.h"
#include "qapi/qapi-commands-net.h"
#include "qemu/timer.h"
#include "system/runstate.h"

/* Operations of one input; more are left alone. */
#define MAX_OPS 400
/* Of those that QEMU needs a millisecond for: the memory map changes, or the machine stops. */
#define MAX_SLOW_OPS 4

static unsigned slow_ops;

static uint8_t u8(Input *in)
{
    return in->at < in->end ? *in->at++ : 0;
}

static uint16_t u16(Input *in)
{
    uint16_t low = u8(in);

    return low | u8(in) << 8;
}

static uint32_t u32(Input *in)
{
    uint32_t low = u16(in);

    return low | (uint32_t)u16(in) << 16;
}

/* Three bytes: an address that means something. Most are in the window. */
static uint64_t address(Input *in)
{
    uint8_t kind = u8(in);
    uint16_t off = u16(in);

    switch (kind) {
    case 0:
        return 0;
    case 1: /* the device's own registers */
        return BAR0 + off * 2;
    case 2: /* its MSI-X table and pending bits */
        return BAR3 + (off & 0x3fff);
    case 3: /* its configuration space */
        return (ECAM | DEVFN << 12) + (off & 0xfff);
    case 4: /* over the end of memory */
        return RAM_SIZE - (off & 0xfff);
    case 5: /* nothing there */
        return 0x0000700000000000ull + off;
    case 6: /* up to the end of everything */
        return ~(uint64_t)off;
    case 7: /* read-only memory */
        return 0xfffff000 + (off & 0xfff);
    case 8: /* interrupt messages of the processor */
        return 0xfee00000 + off;
    case 9: /* over the end of 32 bits */
        return 0xffffffffull - off;
    default:
        return WINDOW + (off | (kind & 3) << 16);
    }
}

typedef struct Reg {
    uint32_t offset, count, step;
} Reg;

static const Reg regs[] = {
#define REGISTER(name, offset, count, step, ...) {offset, count, step},
    IGB_LITE_REGISTERS(REGISTER)
#undef REGISTER
};

/* Two bytes: a register and which of its instances. */
static uint64_t reg_address(Input *in)
{
    const Reg *r = &regs[u8(in) % ARRAY_SIZE(regs)];

    return BAR0 + r->offset + u8(in) % r->count * r->step;
}

static void op_reg_write(Input *in)
{
    uint64_t at = reg_address(in);

    fuzz_write(at, u32(in));
}

static void op_reg_flip(Input *in)
{
    uint64_t at = reg_address(in);

    fuzz_write(at, fuzz_read(at) ^ 1u << u8(in) % 32);
}

static void op_reg_read(Input *in)
{
    fuzz_read(reg_address(in));
}

/* Any size at any place of either BAR. */
static void op_raw(Input *in)
{
    uint8_t how = u8(in);
    uint32_t off = u16(in) | (how & 0x80 ? 0x10000 : 0);
    uint64_t val = u32(in);

    fuzz_access((how & 0x40 ? BAR3 + off % 0x4000 : BAR0 + off), 1u << (how & 3), how & 4,
                val | val << 32);
}

static void op_memory(Input *in)
{
    uint32_t at = u16(in) * 4u;
    size_t len = MIN(u8(in), in->end - in->at);

    fuzz_ram_write(WINDOW + at, in->at, MIN(len, WINDOW_SIZE - at));
    in->at += len;
}

static unsigned ring_of(Input *in, uint32_t *size)
{
    uint8_t b = u8(in);
    static const uint16_t sizes[] = {8, 16, 24, 64, 128, 136, 512, 4096};

    *size = sizes[u8(in) % ARRAY_SIZE(sizes)];
    return b % 16;
}

static void op_rx_ring(Input *in)
{
    uint32_t size;
    unsigned q = ring_of(in, &size);

    fuzz_rx_ring(q, size);
    fuzz_write(BAR0 + A_SRRCTL + q * 0x40, 1u << R_SRRCTL_DESCTYPE_SHIFT | u8(in) % 12);
    fuzz_write(BAR0 + A_RDT + q * 0x40, u8(in) % size);
}

static void op_tx_ring(Input *in)
{
    uint32_t size;
    unsigned q = ring_of(in, &size);

    fuzz_tx_ring(q, size);
}

/* Where the next descriptor of queue q goes: at the tail, as a driver would, if that makes sense. */
static uint64_t tx_slot(unsigned q, unsigned ahead)
{
    uint32_t size = fuzz_read(BAR0 + A_TDLEN + q * 0x40) / 16;
    uint32_t tail = fuzz_read(BAR0 + A_TDT + q * 0x40) + ahead;

    return TX_RING(q) + tail % MIN(MAX(size, 1), RING_MAX) * 16;
}

static void put_tx(unsigned q, unsigned ahead, uint64_t addr, uint32_t cmd, uint32_t olinfo)
{
    uint64_t desc[2] = {cpu_to_le64(addr), cpu_to_le64(cmd | (uint64_t)olinfo << 32)};

    fuzz_ram_write(tx_slot(q, ahead), desc, sizeof(desc));
}

/* q and how far beyond the tail; address; command's upper byte; length; olinfo's low 16 bits */
static void op_tx_data(Input *in)
{
    uint8_t b = u8(in);
    uint64_t addr = address(in);
    uint32_t cmd = (uint32_t)u8(in) << 24 | IGB_LITE_TX_DATA << R_TX_CMD_TYPE_SHIFT;
    uint16_t len = u16(in), olinfo = u16(in);

    put_tx(b % 16, b / 16, addr, cmd | len, olinfo | (uint32_t)len << R_TX_OL_PAYLEN_SHIFT);
}

static void op_tx_context(Input *in)
{
    uint8_t b = u8(in);
    uint32_t lo = u32(in), kind = u8(in), ol = u32(in);

    put_tx(b % 16, b / 16, lo,
           R_TX_CMD_DEXT_MASK | IGB_LITE_TX_CONTEXT << R_TX_CMD_TYPE_SHIFT | kind << 9, ol);
}

/* The tail forward by some descriptors, over the end as a driver would. */
static void op_tx_doorbell(Input *in)
{
    uint8_t b = u8(in);
    uint64_t at = BAR0 + A_TDT + b % 16 * 0x40;
    uint32_t size = fuzz_read(BAR0 + A_TDLEN + b % 16 * 0x40) / 16;

    fuzz_write(at, (fuzz_read(at) + 1 + b / 16) % MAX(size, 1));
}

static void op_rx_post(Input *in)
{
    uint8_t b = u8(in), slot = u8(in);
    uint64_t desc[2] = {cpu_to_le64(address(in)), 0};
    uint64_t at = BAR0 + A_RDT + b % 16 * 0x40;
    uint32_t size = fuzz_read(BAR0 + A_RDLEN + b % 16 * 0x40) / 16;

    fuzz_ram_write(RX_RING(b % 16) + slot % RING_MAX * 16, desc, sizeof(desc));
    fuzz_write(at, (fuzz_read(at) + b / 16) % MAX(size, 1));
}

/*
 * What the input has of a frame, over and over until it is long enough. Never empty: no backend
 * delivers that, and to the net layer a receiver that took 0 bytes is one that is full.
 */
static void op_frame(Input *in)
{
    static uint8_t frame[FRAME_MAX];
    size_t len = MAX(u16(in) % (FRAME_MAX + 1), 1);
    size_t given = MIN(MIN(u8(in), len), in->end - in->at);

    for (size_t i = 0; i < len; i++) {
        frame[i] = given ? in->at[i % given] : i;
    }
    in->at += given;
    fuzz_send(frame, len);
}

static size_t put_headers(uint8_t *f, unsigned kind, size_t payload)
{
    static const uint8_t dst[6] = {0x52, 0x54, 0x00, 0xaa, 0xbb, 0xcc};
    bool v6 = kind & 1, tagged = kind & 2, ext = kind & 4;
    uint8_t protocol = (const uint8_t[]){17, 6, 132, 50}[kind >> 3 & 3];
    size_t at = 14;

    memcpy(f, dst, 6);
    if (tagged) {
        stl_be_p(f + 12, 0x81000123);
        at = 18;
    }
    stw_be_p(f + at - 2, v6 ? 0x86dd : 0x0800);
    if (v6) {
        f[at] = 0x60;
        stw_be_p(f + at + 4, payload + (ext ? 8 : 0));
        f[at + 6] = ext ? (kind & 0x20 ? 44 : 0) : protocol;
        f[at + 40] = ext ? protocol : 0;
        return at + (ext ? 48 : 40);
    }
    f[at] = ext ? 0x47 : 0x45;
    stw_be_p(f + at + 2, payload + (ext ? 28 : 20));
    f[at + 6] = kind & 0x20 ? 0x20 : 0;
    f[at + 9] = protocol;
    return at + (ext ? 28 : 20);
}

/* A frame that makes sense, but for up to three bytes. */
static void op_packet(Input *in)
{
    static uint8_t frame[FRAME_MAX];
    uint8_t kind = u8(in);
    size_t payload = u16(in) % 10000, at;

    memset(frame, 0, 200);
    at = put_headers(frame, kind, payload);
    frame[at + 12] = 0x50;
    stw_be_p(frame + at + (kind & 0x40 ? 4 : 200), payload);
    for (unsigned i = 0; i < 3; i++) {
        uint8_t where = u8(in);

        frame[where % 100] ^= u8(in);
    }
    fuzz_send(frame, at + payload);
}

static void op_clock(Input *in)
{
    uint8_t shift = u8(in) % 28;

    fuzz_clock_step((int64_t)(u8(in) + 1) << shift);
}

static void op_run(Input *in)
{
    for (unsigned i = u8(in) % 4 + 1; i && fuzz_run(); i--) {}
}

/* Configuration space: mostly what has effects. */
static void op_config(Input *in)
{
    static const uint16_t places[] = {0x04, 0x05, 0x10, 0x1c, 0x20, 0x40, 0x44, 0x70,
                                      0x72, 0x73, 0xa0, 0xa8, 0xa9, 0xb4, 0x3c, 0x06};
    uint8_t b = u8(in);
    uint16_t off = u16(in);

    fuzz_config_write(b & 0x80 ? off % 0xffc : places[b % 16], u32(in), 1u << (b >> 4) % 3);
}

static void op_vector(Input *in)
{
    uint8_t b = u8(in);
    uint64_t entry = BAR3 + b % 10 * 16, addr = address(in);

    fuzz_write(entry, addr);
    fuzz_write(entry + 4, addr >> 32);
    fuzz_write(entry + 8, u32(in));
    fuzz_write(entry + 12, b >> 7);
}

static void op_link(Input *in)
{
    qmp_set_link("nic", u8(in) & 1, &error_abort);
}

static void op_wire(Input *in)
{
    uint8_t how = u8(in);

    fuzz.wire_mode = how % 3;
    fuzz_wire_pieces(how & 0x80);
    fuzz.echo_depth = 0;
    if (fuzz.wire_mode != WIRE_REFUSES) {
        qemu_flush_queued_packets(fuzz.wire);
    }
}

static void op_flip(Input *in)
{
    fuzz.flip_every = u8(in) % 8;
    fuzz.flip_at = u8(in);
    fuzz.flip_mask = u8(in);
    fuzz.flip_count = 0;
}

static GByteArray *save(void)
{
    g_autoptr(QIOChannelBuffer) buffer = qio_channel_buffer_new(4096);
    QEMUFile *f = qemu_file_new_output(QIO_CHANNEL(buffer));
    GByteArray *state = g_byte_array_new();

    if (vmstate_save_state(f, DEVICE_GET_CLASS(fuzz.pci)->vmsd, fuzz.pci, NULL)) {
        abort();
    }
    qemu_fflush(f);
    g_byte_array_append(state, buffer->data, buffer->usage);
    qemu_fclose(f);
    return state;
}

static int load(const GByteArray *state)
{
    const VMStateDescription *vmsd = DEVICE_GET_CLASS(fuzz.pci)->vmsd;
    QIOChannelBuffer *buffer = qio_channel_buffer_new(state->len);
    QEMUFile *f;
    int ret;

    memcpy(buffer->data, state->data, state->len);
    buffer->usage = state->len;
    f = qemu_file_new_input(QIO_CHANNEL(buffer));
    ret = vmstate_load_state(f, vmsd, fuzz.pci, vmsd->version_id);
    qemu_fclose(f);
    object_unref(OBJECT(buffer));
    return ret;
}

/*
 * The device goes to another machine: what arrives says the same when it is saved again. The
 * machine is stopped meanwhile, as for a migration. With a mask, one byte is damaged on the way, and
 * the stream may be refused.
 */
static void op_migrate(Input *in)
{
    uint16_t at = u16(in);
    uint8_t mask = u8(in);
    GByteArray *state, *again;
    uint8_t byte;
    bool was_stopped = fuzz.stopped;

    if (!was_stopped) {
        vm_stop(RUN_STATE_PAUSED);
    }
    state = save();
    pci_device_reset(fuzz.pci);
    at %= state->len;
    byte = state->data[at];
    state->data[at] ^= mask;
    if (load(state)) {
        /* QEMU ends here: what the refused stream left behind never runs. */
        state->data[at] = byte;
        if (!mask || load(state)) {
            fprintf(stderr, "igb-lite fuzz: the state was refused\n");
            abort();
        }
    } else if (!mask) {
        again = save();
        if (state->len != again->len || memcmp(state->data, again->data, state->len)) {
            fprintf(stderr, "igb-lite fuzz: the state changed on its way\n");
            abort();
        }
        g_byte_array_unref(again);
    }
    g_byte_array_unref(state);
    if (!was_stopped) {
        vm_start();
    }
}

static void op_stop(Input *in)
{
    bool stop = u8(in) & 1;

    if (stop != fuzz.stopped) {
        if (stop) {
            vm_stop(RUN_STATE_PAUSED);
        } else {
            vm_start();
        }
        fuzz.stopped = stop;
    }
}

static void op_reset(Input *in)
{
    switch (u8(in) % 3) {
    case 0:
        fuzz_write(BAR0 + A_CTRL, R_CTRL_RST_MASK);
        break;
    case 1: /* function level reset */
        fuzz_config_write(0xa8, PCI_EXP_DEVCTL_BCR_FLR, 2);
        break;
    case 2:
        device_cold_reset(DEVICE(fuzz.pci));
        break;
    }
}

/* A fault, every so often, or the event log; see docs/igb-lite.md. */
static void op_fault(Input *in)
{
    uint8_t which = u8(in) % (FUZZ_FAULTS + 1);
    uint16_t value = u16(in);

    if (which == FUZZ_FAULTS) {
        object_property_set_str(OBJECT(fuzz.pci), "event-log", "/dev/null", &error_abort);
        return;
    }
    object_property_set_uint(OBJECT(fuzz.pci), fuzz_faults[which], value, &error_abort);
}

static void op_enable(Input *in)
{
    fuzz_enable();
}

void fuzz_input(Input *in)
{
    static void (*const ops[32])(Input *) = {
        op_reg_write, op_reg_flip,   op_reg_read,    op_raw,     op_memory, op_rx_ring, op_tx_ring,
        op_tx_data,   op_tx_context, op_tx_doorbell, op_rx_post, op_frame,  op_packet,  op_clock,
        op_run,       op_config,     op_vector,      op_link,    op_wire,   op_flip,    op_migrate,
        op_stop,      op_reset,      op_enable,      op_fault,
    };

    slow_ops = 0;
    for (unsigned i = 0; i < MAX_OPS && in->at < in->end; i++) {
        void (*op)(Input *) = ops[u8(in) % ARRAY_SIZE(ops)];
        bool slow = op == op_config || op == op_migrate || op == op_stop || op == op_reset ||
                    op == op_fault;

        if (op && !(slow && slow_ops++ >= MAX_SLOW_OPS)) {
            op(in);
        }
    }
}
