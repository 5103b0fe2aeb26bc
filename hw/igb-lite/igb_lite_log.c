/*
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * igb-lite: the event log: what the device did, one JSON object a line, in a file of the host. No
 * guest can write, shorten or stop it, so it can judge a guest. Property event-log names the file
 * ("" ends it), event-log-limit bounds it; the format is in docs/igb-lite.md. Off, it costs a test
 * of a pointer.
 */
#include "qemu/osdep.h"

#include "igb_lite.h"
#include "qapi/error.h"
#include "qemu/main-loop.h"

#define LIMIT_DEFAULT (256 * MiB)

static void log_close(IGBLiteState *s)
{
    if (s->log) {
        fclose(s->log);
        s->log = NULL;
    }
    g_clear_pointer(&s->log_path, g_free);
}

/* Lines leave QEMU when the main loop comes round, not one by one. */
static void log_flush(void *opaque)
{
    IGBLiteState *s = opaque;

    s->log_flushing = false;
    if (s->log && fflush(s->log)) {
        warn_report("igb-lite: event log %s: %s", s->log_path, strerror(errno));
        log_close(s);
    }
    object_unref(OBJECT(s));
}

/* Adds a line; fields is the inside of a JSON object. Use the macro igb_lite_log. */
void igb_lite_log_event(IGBLiteState *s, const char *event, const char *fields, ...)
{
    va_list args;
    int n;

    if (s->log_bytes >= s->log_limit) {
        if (!s->log_full) {
            s->log_full = true;
            fprintf(s->log, "{\"seq\":%" PRIu64 ",\"event\":\"full\"}\n", s->log_seq);
        }
        return;
    }
    n = fprintf(s->log, "{\"seq\":%" PRIu64 ",\"ns\":%" PRId64 ",\"event\":\"%s\",", s->log_seq++,
                qemu_clock_get_ns(QEMU_CLOCK_VIRTUAL), event);
    s->log_bytes += MAX(n, 0);
    va_start(args, fields);
    n = vfprintf(s->log, fields, args);
    va_end(args);
    s->log_bytes += MAX(n, 0) + 2;
    fputs("}\n", s->log);
    if (!s->log_flushing) {
        s->log_flushing = true;
        object_ref(OBJECT(s));
        aio_bh_schedule_oneshot(qemu_get_aio_context(), log_flush, s);
    }
}

static char *log_get(Object *obj, Error **errp)
{
    return g_strdup(IGB_LITE(obj)->log_path ?: "");
}

static void log_set(Object *obj, const char *path, Error **errp)
{
    IGBLiteState *s = IGB_LITE(obj);
    int fd;

    log_close(s);
    if (!*path) {
        return;
    }
    fd = qemu_create(path, O_WRONLY | O_TRUNC, 0644, errp);
    if (fd < 0) {
        return;
    }
    s->log = fdopen(fd, "w");
    if (!s->log) {
        error_setg_errno(errp, errno, "igb-lite: event log %s", path);
        close(fd);
        return;
    }
    s->log_path = g_strdup(path);
    s->log_seq = s->log_bytes = 0;
    s->log_full = false;
    igb_lite_log_event(s, "start", "\"device\":\"%s\",\"version\":1", TYPE_IGB_LITE);
}

void igb_lite_log_init(IGBLiteState *s)
{
    s->log_limit = LIMIT_DEFAULT;
    object_property_add_str(OBJECT(s), "event-log", log_get, log_set);
    object_property_add_uint64_ptr(OBJECT(s), "event-log-limit", &s->log_limit,
                                   OBJ_PROP_FLAG_READWRITE);
}

void igb_lite_log_finalize(IGBLiteState *s)
{
    log_close(s);
}
