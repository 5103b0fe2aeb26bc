/* SPDX-License-Identifier: MIT
 * Fiber switch on an aarch64 host: void host_switch_stack(void **save_sp, void *load_sp). The order of the saved registers
 * matches os_fiber_create(): the return address (x30) lies last.
 */
        .text
        .globl host_switch_stack
        .type host_switch_stack, %function
host_switch_stack:
        sub     sp, sp, #160
        stp     x19, x20, [sp, #0]
        stp     x21, x22, [sp, #16]
        stp     x23, x24, [sp, #32]
        stp     x25, x26, [sp, #48]
        stp     x27, x28, [sp, #64]
        stp     d8, d9, [sp, #80]
        stp     d10, d11, [sp, #96]
        stp     d12, d13, [sp, #112]
        stp     d14, d15, [sp, #128]
        stp     x29, x30, [sp, #144]
        mov     x9, sp
        str     x9, [x0]
        mov     sp, x1
        ldp     x19, x20, [sp, #0]
        ldp     x21, x22, [sp, #16]
        ldp     x23, x24, [sp, #32]
        ldp     x25, x26, [sp, #48]
        ldp     x27, x28, [sp, #64]
        ldp     d8, d9, [sp, #80]
        ldp     d10, d11, [sp, #96]
        ldp     d12, d13, [sp, #112]
        ldp     d14, d15, [sp, #128]
        ldp     x29, x30, [sp, #144]
        add     sp, sp, #160
        ret
        .size host_switch_stack, . - host_switch_stack
        .section .note.GNU-stack, "", %progbits
