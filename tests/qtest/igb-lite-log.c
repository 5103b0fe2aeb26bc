/*
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * igb-lite's tests: the event log.
 */
#include "igb-lite.h"
#include "qapi/error.h"
#include "qobject/qdict.h"
#include "qobject/qjson.h"

typedef struct Log {
    char path[64];
    char **lines;
    QDict *event; /* the line last looked at */
} Log;

static void log_to(Nic *n, const char *path)
{
    qtest_qmp_assert_success(n->qts,
                             "{'execute': 'qom-set', 'arguments': {'path': "
                             "'/machine/peripheral/nic', 'property': 'event-log', 'value': %s}}",
                             path);
}

static void log_open(Nic *n, Log *l)
{
    *l = (Log){};
    snprintf(l->path, sizeof(l->path), "/tmp/igb-lite-log-%d", getpid());
    log_to(n, l->path);
}

/* Ends the log; its lines are numbered from 0, and their times do not go back. */
static void log_read(Nic *n, Log *l)
{
    g_autofree char *text = NULL;
    int64_t ns = 0;
    unsigned i;

    log_to(n, "");
    g_assert_true(g_file_get_contents(l->path, &text, NULL, NULL));
    unlink(l->path);
    g_assert_true(g_str_has_suffix(text, "}\n"));
    l->lines = g_strsplit(text, "\n", -1);
    for (i = 0; l->lines[i + 1]; i++) {
        QDict *event = qobject_to(QDict, qobject_from_json(l->lines[i], &error_abort));

        g_assert_cmpint(qdict_get_int(event, "seq"), ==, i);
        g_assert_cmpint(qdict_get_try_int(event, "ns", ns), >=, ns);
        ns = qdict_get_try_int(event, "ns", ns);
        qobject_unref(event);
    }
}

static void log_free(Log *l)
{
    g_strfreev(l->lines);
    qobject_unref(l->event);
}

/* The next line from *at on that has all of these; ends the test if there is none. */
static QDict *log_next(Log *l, unsigned *at, const char *name, const char *has)
{
    for (; l->lines[*at] && *l->lines[*at]; ++*at) {
        QDict *event = qobject_to(QDict, qobject_from_json(l->lines[*at], &error_abort));

        if (!strcmp(qdict_get_str(event, "event"), name) && strstr(l->lines[*at], has)) {
            ++*at;
            qobject_unref(l->event);
            l->event = event;
            return event;
        }
        qobject_unref(event);
    }
    g_error("no event %s with %s", name, has);
}

/* A frame in and a frame out: every step is there, in its order and at its time. */
static void test_order(void)
{
    Nic *n = nic_running();
    uint8_t frame[100], in[100];
    unsigned at = 0;
    int64_t ns;
    Log l;

    w32(n, A_IVAR, 0x00008180);
    w32(n, A_EIMS, 0x3ff);
    log_open(n, &l);
    wire_send_seen(n, frame, make_frame(frame, 100, 1));
    wait_message(n, 0);
    qtest_clock_step(n->qts, 12345);
    tx_frame(n, 0, 0, frame, make_frame(frame, 90, 1));
    tx_doorbell(n, 0);
    wire_receive(n, in, sizeof(in));
    log_read(n, &l);

    log_next(&l, &at, "start", "\"version\":1");
    log_next(&l, &at, "dma", "\"dir\":\"read\",\"addr\":\"0x1000000\",\"len\":16");
    log_next(&l, &at, "dma", "\"dir\":\"write\",\"addr\":\"0x3000000\",\"len\":100");
    log_next(&l, &at, "rx-frame", "\"queue\":0,\"len\":100,\"descriptors\":1");
    log_next(&l, &at, "write-back", "\"dir\":\"rx\",\"queue\":0,\"index\":0");
    ns = qdict_get_int(log_next(&l, &at, "interrupt", "\"vector\":0"), "ns");
    log_next(&l, &at, "tail", "\"dir\":\"tx\",\"queue\":0,\"tail\":1");
    log_next(&l, &at, "dma", "\"dir\":\"read\",\"addr\":\"0x5000000\",\"len\":90");
    log_next(&l, &at, "tx-frame", "\"queue\":0,\"len\":90");
    log_next(&l, &at, "write-back", "\"dir\":\"tx\",\"queue\":0,\"index\":0");
    g_assert_cmpint(qdict_get_int(log_next(&l, &at, "interrupt", "\"vector\":1"), "ns"), ==,
                    ns + 12345);
    log_free(&l);
    nic_stop(n);
}

/* What else happens to the device, and the faults that were injected. */
static void test_others(void)
{
    Nic *n = nic_start_args("-global igb-lite.rx-wait-ms=0");
    uint8_t frame[100];
    unsigned at = 0;
    Log l;

    log_open(n, &l);
    nic_enable(n);
    w32(n, A_EIMS, 1);
    rx_ring(n, 0, 64);
    wire_send_seen(n, frame, make_frame(frame, 100, 1));
    memset(frame, 2, 6);
    wire_send_seen(n, frame, 100);
    qtest_qmp_assert_success(
        n->qts, "{'execute': 'qom-set', 'arguments': {'path': '/machine/peripheral/nic', "
                "'property': 'fault-irq-drop', 'value': 1}}");
    w32(n, A_EICS, 1);
    w32(n, A_CTRL, R_CTRL_RST_MASK);
    log_read(n, &l);

    log_next(&l, &at, "link", "\"up\":true");
    log_next(&l, &at, "rx-missed", "\"queue\":0");
    log_next(&l, &at, "rx-filtered", "\"len\":100");
    log_next(&l, &at, "fault", "\"fault\":\"fault-irq-drop\"");
    log_next(&l, &at, "reset", "\"what\":\"CTRL.RST\"");
    log_free(&l);
    nic_stop(n);
}

/* The limit holds, and the log says that it is full. */
static void test_limit(void)
{
    Nic *n = nic_running();
    uint8_t frame[100];
    struct stat st;
    unsigned at = 0;
    Log l;

    qtest_qmp_assert_success(
        n->qts, "{'execute': 'qom-set', 'arguments': {'path': '/machine/peripheral/nic', "
                "'property': 'event-log-limit', 'value': 2000}}");
    log_open(n, &l);
    for (unsigned i = 0; i < 20; i++) {
        wire_send_seen(n, frame, make_frame(frame, 100, i));
    }
    settle(n);
    g_assert_cmpint(stat(l.path, &st), ==, 0);
    g_assert_cmpint(st.st_size, >, 1800);
    g_assert_cmpint(st.st_size, <, 2300);
    log_read(n, &l);
    log_next(&l, &at, "full", "");
    g_assert_cmpstr(l.lines[at], ==, "");
    log_free(&l);
    nic_stop(n);
}

/* Given on the command line it has everything from the first reset on; the file is complete. */
static void test_command_line(void)
{
    g_autofree char *path = g_strdup_printf("/tmp/igb-lite-log-%d", getpid());
    g_autofree char *args = g_strdup_printf("-global igb-lite.event-log=%s", path);
    g_autofree char *text = NULL;
    Nic *n = nic_start_args(args);

    nic_enable(n);
    nic_stop(n);
    g_assert_true(g_file_get_contents(path, &text, NULL, NULL));
    unlink(path);
    g_assert_nonnull(strstr(text, "\"event\":\"reset\",\"what\":\"device\""));
    g_assert_nonnull(strstr(text, "\"event\":\"link\",\"up\":true"));
}

static void test_bad_path(void)
{
    Nic *n = nic_start();
    QDict *response =
        qtest_qmp(n->qts, "{'execute': 'qom-set', 'arguments': {'path': '/machine/peripheral/nic', "
                          "'property': 'event-log', 'value': '/nonexistent/log'}}");

    g_assert_true(qdict_haskey(response, "error"));
    qobject_unref(response);
    nic_stop(n);
}

void igb_lite_add_log_tests(void)
{
    qtest_add_func("igb-lite/log/order", test_order);
    qtest_add_func("igb-lite/log/others", test_others);
    qtest_add_func("igb-lite/log/limit", test_limit);
    qtest_add_func("igb-lite/log/command-line", test_command_line);
    qtest_add_func("igb-lite/log/bad-path", test_bad_path);
}
