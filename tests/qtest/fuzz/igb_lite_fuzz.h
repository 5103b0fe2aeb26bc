/*
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * igb-lite's fuzzer: what its two parts share. One QEMU without a processor, one igb-lite, one end
 * of its cable; everything runs in the fuzzer's thread, which holds the big QEMU lock.
 */
#ifndef IGB_LITE_FUZZ_H
#define IGB_LITE_FUZZ_H

#include "qemu/osdep.h"

#include "hw/pci/pci_device.h"
#include "net/net.h"

/* What of guest memory inputs use: rings, buffers, places for messages. */
#define WINDOW 0x100000ull
#define WINDOW_SIZE 0x40000u
#define RAM_SIZE (16ull << 20)
#define RX_RING(q) (WINDOW + (q)*0x800)
#define TX_RING(q) (WINDOW + 0x8000 + (q)*0x800)
#define RING_MAX 128 /* descriptors between one ring and the next */
#define MESSAGES (WINDOW + 0x10000)
#define BUFFER(i) (WINDOW + 0x12000 + (i) % 88 * 0x800)
/* Where the setup puts the device. */
#define BAR0 0xe0000000u
#define BAR3 0xe0040000u
#define ECAM 0xb0000000u
#define DEVFN PCI_DEVFN(4, 0)

#define FRAME_MAX 20000

/* How the other end of the cable behaves. */
enum { WIRE_TAKES, WIRE_REFUSES, WIRE_ECHOES };

typedef struct Fuzz {
    PCIDevice *pci;
    NetClientState *nic;  /* the device's end */
    NetClientState *wire; /* ours */
    uint8_t *ram;         /* guest memory */
    unsigned wire_mode;
    unsigned echo_depth;
    uint64_t wire_frames, wire_bytes; /* what has come out so far */
    uint8_t wire_last[64];            /* the start of the last frame */
    /* Guest memory that changes under the device: every flip_every-th read of it flips flip_mask in
     * one of the bytes that were asked for, before they are read; 0: never. */
    unsigned flip_every, flip_count;
    uint8_t flip_mask, flip_at;
    bool stopped; /* the machine, by the input */
} Fuzz;

extern Fuzz fuzz;

/* An input; what is read beyond its end is 0. */
typedef struct Input {
    const uint8_t *at, *end;
} Input;

/* Properties that make faults; all 0 between inputs. */
#define FUZZ_FAULTS 11
extern const char *const fuzz_faults[FUZZ_FAULTS];

/* igb_lite_fuzz.c */
uint32_t fuzz_read(uint64_t addr);
void fuzz_write(uint64_t addr, uint32_t val);
void fuzz_access(uint64_t addr, unsigned size, bool is_write, uint64_t val);
void fuzz_config_write(unsigned offset, uint32_t val, unsigned size);
/* Bottom halves that are due, once; false if there were none. */
bool fuzz_run(void);
void fuzz_clock_step(int64_t ns);
void fuzz_wire_pieces(bool on);
void fuzz_send(const uint8_t *frame, size_t len);
void fuzz_enable(void);
void fuzz_rx_ring(unsigned q, uint32_t size);
void fuzz_tx_ring(unsigned q, uint32_t size);
void fuzz_ram_write(uint64_t addr, const void *data, size_t len);

/* igb_lite_fuzz_ops.c: does what the input says. */
void fuzz_input(Input *in);

#endif
