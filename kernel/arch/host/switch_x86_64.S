/* SPDX-License-Identifier: MIT
 * Fiber switch on an x86_64 host: void host_switch_stack(void **save_sp, void *load_sp). Saves what the ABI wants
 * preserved on the old stack, and continues where load_sp was saved.
 */
        .text
        .globl host_switch_stack
        .type host_switch_stack, @function
host_switch_stack:
        pushq   %rbp
        pushq   %rbx
        pushq   %r12
        pushq   %r13
        pushq   %r14
        pushq   %r15
        movq    %rsp, (%rdi)
        movq    %rsi, %rsp
        popq    %r15
        popq    %r14
        popq    %r13
        popq    %r12
        popq    %rbx
        popq    %rbp
        ret
        .size host_switch_stack, . - host_switch_stack
        .section .note.GNU-stack, "", @progbits
