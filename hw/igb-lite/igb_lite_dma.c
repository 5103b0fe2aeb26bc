/*
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * igb-lite: DMA, and whether a ring can be used.
 *
 * Guest memory is reached through a few windows: whole stretches of RAM of the bus master's address
 * space, found once and kept until that address space changes, which the memory core says
 * (windows_drop). Within a window DMA is a copy. What is not plain RAM, or behind an IOMMU, goes the
 * long way through pci_dma_*. A pointer into a window stays valid
 * while the caller holds the RCU read lock, even if the window is dropped.
 *
 * DMA can be aimed at anything: at other devices, and at configuration space, from where it can
 * reset or unplug this very device. Those are put off to the end of the work in progress
 * (igb_lite_enter, igb_lite_leave), and when the device is gone DMA fails.
 */
#include "qemu/osdep.h"

#include "igb_lite.h"
#include "qemu/atomic.h"
#include "trace.h"

static void window_close(IGBLiteWindow *w)
{
    if (w->cache.mrs.mr) {
        address_space_cache_destroy(&w->cache);
    }
    *w = (IGBLiteWindow){};
}

/*
 * Tells the memory core of the descriptors written since the last time: for migration and
 * translated code. They stand side by side, so once for many is enough; at the latest when the work
 * in progress ends.
 */
void igb_lite_dma_settle(IGBLiteState *s)
{
    if (s->written) {
        address_space_cache_invalidate(&s->written->cache, s->written_from,
                                       s->written_to - s->written_from);
        s->written = NULL;
    }
}

static void note_written(IGBLiteState *s, IGBLiteWindow *w, hwaddr at, size_t len)
{
    if (s->written == w && s->written_to == at) {
        s->written_to += len;
        return;
    }
    igb_lite_dma_settle(s);
    s->written = w;
    s->written_from = at;
    s->written_to = at + len;
}

/* The bus master's address space has changed. */
static void windows_drop(MemoryListener *listener)
{
    IGBLiteState *s = container_of(listener, IGBLiteState, dma_listener);

    igb_lite_dma_settle(s);
    for (unsigned i = 0; i < IGB_LITE_WINDOWS; i++) {
        window_close(&s->windows[i]);
    }
    s->behind_iommu = false;
}

static inline bool window_has(const IGBLiteWindow *w, uint64_t addr, size_t len)
{
    return addr - w->base < w->len && len <= w->len - (addr - w->base);
}

/* Opens a window on the whole section of the address space that addr is in, if that is RAM. */
static IGBLiteWindow *window_open(IGBLiteState *s, uint64_t addr)
{
    AddressSpace *as = pci_get_address_space(PCI_DEVICE(s));
    IGBLiteWindow *w = &s->windows[s->next_window];
    MemoryRegionCache probe = {};
    hwaddr size;

    address_space_cache_init(&probe, as, addr, 1, true);
    if (!probe.ptr) {
        s->behind_iommu = memory_region_is_iommu(probe.mrs.mr);
        address_space_cache_destroy(&probe);
        return NULL;
    }
    igb_lite_dma_settle(s);
    window_close(w);
    s->next_window = (s->next_window + 1) % IGB_LITE_WINDOWS;
    w->base = probe.mrs.offset_within_address_space;
    size = int128_get64(probe.mrs.size);
    address_space_cache_destroy(&probe);
    w->len = address_space_cache_init(&w->cache, as, w->base, size, true);
    if (!w->cache.ptr) {
        window_close(w);
    }
    return w;
}

/* The same, when it is not the one of last time. */
static IGBLiteWindow *window_search(IGBLiteState *s, uint64_t addr, size_t len)
{
    IGBLiteWindow *w;

    for (unsigned i = 0; i < IGB_LITE_WINDOWS; i++) {
        w = &s->windows[i];
        if (window_has(w, addr, len)) {
            s->last_window = i;
            return w;
        }
        if (window_has(w, addr, 1)) {
            return NULL; /* over the end of the section */
        }
    }
    if (s->behind_iommu || s->gone) {
        return NULL;
    }
    w = window_open(s, addr);
    return w && window_has(w, addr, len) ? w : NULL;
}

/* The window that has these bytes; NULL: they have to go the long way. */
static inline IGBLiteWindow *window_find(IGBLiteState *s, uint64_t addr, size_t len)
{
    IGBLiteWindow *w = &s->windows[s->last_window];

    return likely(window_has(w, addr, len)) ? w : window_search(s, addr, len);
}

static void log_dma(IGBLiteState *s, const char *dir, uint64_t addr, size_t len)
{
    igb_lite_log(s, "dma", "\"dir\":\"%s\",\"addr\":\"0x%" PRIx64 "\",\"len\":%zu", dir, addr, len);
}

/*
 * Guest memory to read from without a copy, or NULL if there is none at addr. For callers with the
 * RCU read lock. The guest may change what is there at any time.
 */
const void *igb_lite_dma_peek(IGBLiteState *s, uint64_t addr, size_t len)
{
    IGBLiteWindow *w = window_find(s, addr, len);

    if (!w) {
        return NULL;
    }
    trace_igb_lite_dma_read(addr, len);
    log_dma(s, "read", addr, len);
    return w->cache.ptr + (addr - w->base);
}

/* A descriptor of 16 bytes. */
bool igb_lite_dma_read_desc(IGBLiteState *s, uint64_t addr, void *desc)
{
    IGBLiteWindow *w = window_find(s, addr, 16);

    if (!w) {
        return igb_lite_dma_read(s, addr, desc, 16);
    }
    trace_igb_lite_dma_read(addr, 16);
    log_dma(s, "read", addr, 16);
    memcpy(desc, w->cache.ptr + (addr - w->base), 16);
    return true;
}

/* A failure (bus mastering off, no memory there, our own registers) is the guest's error. */
static bool succeeded(IGBLiteState *s, MemTxResult result, const char *what, uint64_t addr,
                      size_t len)
{
    if (result == MEMTX_OK) {
        return true;
    }
    igb_lite_guest_error(s, "DMA %s of %zu bytes at 0x%" PRIx64 " failed", what, len, addr);
    return false;
}

bool igb_lite_dma_read(IGBLiteState *s, uint64_t addr, void *buf, size_t len)
{
    IGBLiteWindow *w = window_find(s, addr, len);

    trace_igb_lite_dma_read(addr, len);
    log_dma(s, "read", addr, len);
    if (w) {
        memcpy(buf, w->cache.ptr + (addr - w->base), len);
        return true;
    }
    return !s->gone && succeeded(s, pci_dma_read(PCI_DEVICE(s), addr, buf, len), "read", addr, len);
}

bool igb_lite_dma_write(IGBLiteState *s, uint64_t addr, const void *buf, size_t len)
{
    IGBLiteWindow *w = window_find(s, addr, len);

    trace_igb_lite_dma_write(addr, len);
    log_dma(s, "write", addr, len);
    if (w) {
        memcpy(w->cache.ptr + (addr - w->base), buf, len);
        address_space_cache_invalidate(&w->cache, addr - w->base, len);
        return true;
    }
    return !s->gone &&
           succeeded(s, pci_dma_write(PCI_DEVICE(s), addr, buf, len), "write", addr, len);
}

/*
 * Writes a descriptor of 16 bytes back: its first half, if there is one, then, after everything that
 * was written before, its second half as one 64-bit store.
 */
bool igb_lite_dma_write_back(IGBLiteState *s, uint64_t addr, const uint64_t *first, uint64_t second)
{
    IGBLiteWindow *w = window_find(s, addr, 16);
    MemTxResult result = MEMTX_ERROR;

    if (w && addr % 16 == 0) {
        uint64_t *desc = (uint64_t *)(w->cache.ptr + (addr - w->base));

        log_dma(s, "write", addr + (first ? 0 : 8), first ? 16 : 8);
        if (first) {
            trace_igb_lite_dma_write(addr, sizeof(*first));
            desc[0] = cpu_to_le64(*first);
        }
        smp_wmb();
        trace_igb_lite_dma_publish(addr + 8, second);
        qatomic_set(&desc[1], cpu_to_le64(second));
        note_written(s, w, addr - w->base, 16);
        return true;
    }
    if (first) {
        uint64_t le = cpu_to_le64(*first);

        if (!igb_lite_dma_write(s, addr, &le, sizeof(le))) {
            return false;
        }
    }
    trace_igb_lite_dma_publish(addr + 8, second);
    log_dma(s, "write", addr + 8, sizeof(second));
    smp_wmb();
    if (!s->gone) {
        address_space_stq_le(pci_get_address_space(PCI_DEVICE(s)), addr + 8, second,
                             MEMTXATTRS_UNSPECIFIED, &result);
    }
    return succeeded(s, result, "write", addr + 8, sizeof(second));
}

/*
 * A ring's number of descriptors from its length register; 0 if ring, head or tail cannot be used.
 */
uint32_t igb_lite_ring_size(IGBLiteState *s, uint32_t len, uint32_t head, uint32_t tail)
{
    uint32_t size = len / 16;

    if (!len || len % 128) {
        igb_lite_guest_error(s, "ring of %u bytes", len);
        return 0;
    }
    if (head >= size || tail >= size) {
        igb_lite_guest_error(s, "head %u or tail %u beyond a ring of %u", head, tail, size);
        return 0;
    }
    return size;
}

void igb_lite_dma_realize(IGBLiteState *s)
{
    s->dma_listener = (MemoryListener){.name = TYPE_IGB_LITE, .commit = windows_drop};
    memory_listener_register(&s->dma_listener, pci_get_address_space(PCI_DEVICE(s)));
}

void igb_lite_dma_unrealize(IGBLiteState *s)
{
    memory_listener_unregister(&s->dma_listener);
    windows_drop(&s->dma_listener);
}
