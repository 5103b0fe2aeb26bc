/*
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * igb-lite's tests: the program. Run it through tests/qtest/run.
 */
#include "igb-lite.h"

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    igb_lite_add_reg_tests();
    igb_lite_add_table_tests();
    igb_lite_add_tx_tests();
    igb_lite_add_offload_tests();
    igb_lite_add_rx_tests();
    igb_lite_add_filter_tests();
    igb_lite_add_irq_tests();
    igb_lite_add_error_tests();
    igb_lite_add_beside_tests();
    igb_lite_add_log_tests();
    igb_lite_add_fault_tests();
    igb_lite_add_rss6_tests();
    igb_lite_add_systim_tests();
    igb_lite_add_ring_tests();
    igb_lite_add_desc_tests();
    igb_lite_add_cve_tests();
    igb_lite_add_segment_tests();
    igb_lite_add_migrate_tests();
    igb_lite_add_wait_tests();
    igb_lite_add_dma_tests();
    return g_test_run();
}
